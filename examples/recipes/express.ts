import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express from "express";
import { createCache } from "tiercache";
import { expressCache } from "tiercache/express";
import { prometheus } from "tiercache/prometheus";

const database = { user: async (id: number) => ({ id, name: `User ${id}` }), countries: async () => ["de", "fr"] };

const cache = createCache({ name: "shop", ttl: "5m", staleIfError: "1h" });
const users = cache.entity({ name: "user", load: database.user });
const metrics = prometheus();
metrics.watch(cache);

const app = express();

// Whole answers below this path, by RFC 9111. Near the top: a miss runs the application from its first middleware on.
app.use("/countries", expressCache(cache, { ttl: "1m", tags: ["countries"] }));
app.get("/countries", (_request, response, next) => {
  database.countries().then((countries) => response.json(countries), next);
});

// Data: the cache is asked in the handler.
app.get("/users/:id", (request, response, next) => {
  users.get(Number(request.params.id)).then((user) => response.json(user), next);
});

app.get("/metrics", (_request, response) => void response.type("text/plain; version=0.0.4").send(metrics.text()));

const server = app.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1");
await once(server, "listening");
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
for (const path of ["/users/1", "/users/1", "/countries", "/countries"]) {
  const answer = await fetch(address + path);
  console.log(path, await answer.json(), answer.headers.get("cache-status") ?? "");
}
console.log(cache.stats().entities["user"]?.loads, "load of a user");
server.close();
metrics.close();
await cache.close();
