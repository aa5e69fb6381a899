import { createServer } from "node:http";
import { createCache } from "tiercache";
import { prometheus } from "tiercache/prometheus";

const cache = createCache({ name: "crm", ttl: "10m" });
const users = cache.entity({ name: "user", load: (id: number) => ({ id, name: "Ann" }) });

// With prom-client: prometheus({ registry: register }), and serve `await register.metrics()` as before.
const metrics = prometheus();
metrics.watch(cache);

const server = createServer((_, response) => {
  response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
  response.end(metrics.text());
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

await users.get(1);
await users.get(1);

const address = server.address();
const port = typeof address === "object" ? address?.port : 0;
const scraped = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
console.log(
  scraped
    .split("\n")
    .filter((line) => line.startsWith("cache_requests_total") && !line.endsWith(" 0"))
    .join("\n"),
);

server.close();
metrics.close();
await cache.close();
