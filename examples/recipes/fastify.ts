import fastify from "fastify";
import { createCache } from "tiercache";
import { fastifyCache } from "tiercache/fastify";
import { prometheus } from "tiercache/prometheus";

const database = { user: async (id: number) => ({ id, name: `User ${id}` }), countries: async () => ["de", "fr"] };

const cache = createCache({ name: "shop", ttl: "5m", staleIfError: "1h" });
const users = cache.entity({ name: "user", load: database.user });
const metrics = prometheus();
metrics.watch(cache);

const app = fastify();

// Data: the cache is asked in the handler.
app.get<{ Params: { id: string } }>("/users/:id", (request) => users.get(Number(request.params.id)));

// Whole answers: everything in this scope, by RFC 9111.
await app.register(async (scope) => {
  await scope.register(fastifyCache, { cache, ttl: "1m", tags: ["countries"] });
  scope.get("/countries", () => database.countries());
});

app.get("/metrics", (_request, reply) => reply.type("text/plain; version=0.0.4").send(metrics.text()));
app.addHook("onClose", async () => {
  metrics.close();
  await cache.close();
});

const address = await app.listen({ port: Number(process.env["PORT"] ?? 0), host: "127.0.0.1" });
for (const path of ["/users/1", "/users/1", "/countries", "/countries"]) {
  const answer = await fetch(address + path);
  console.log(path, await answer.json(), answer.headers.get("cache-status") ?? "");
}
console.log(cache.stats().entities["user"]?.loads, "load of a user");
await app.close();
