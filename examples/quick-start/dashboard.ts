import { createCache } from "tiercache";
import { createAdmin } from "tiercache/admin";

const cache = createCache({ name: "shop", ttl: "5m" });
const admin = createAdmin(cache, { environment: "development" });
const { url } = await admin.listen({ port: Number(process.env["ADMIN_PORT"] ?? 0) });

for (let id = 0; id < 1_000; id += 1) await cache.getOrLoad(`price:${id % 200}`, () => ({ cents: id }));
console.log(`Look at ${url}, and end with Ctrl+C.`);
process.once("SIGINT", () => void admin.close().then(() => cache.close()));
