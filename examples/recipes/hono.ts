import { once } from "node:events";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import type { AddressInfo } from "node:net";
import { createCache } from "tiercache";
import { honoCache } from "tiercache/hono";
import { prometheus } from "tiercache/prometheus";

const database = { user: async (id: number) => ({ id, name: `User ${id}` }), countries: async () => ["de", "fr"] };

const cache = createCache({ name: "shop", ttl: "5m", staleIfError: "1h" });
const users = cache.entity({ name: "user", load: database.user });
const metrics = prometheus();
metrics.watch(cache);

const app = new Hono();

// Whole answers below this path, by RFC 9111.
app.use("/countries", honoCache(cache, { app, ttl: "1m", tags: ["countries"] }));
app.get("/countries", async (context) => context.json(await database.countries()));

// Data: the cache is asked in the handler.
app.get("/users/:id", async (context) => context.json(await users.get(Number(context.req.param("id")))));

app.get("/metrics", (context) => context.text(metrics.text()));

const server = serve({ fetch: app.fetch, port: Number(process.env["PORT"] ?? 0), hostname: "127.0.0.1" });
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
