import { createCache } from "tiercache";
import { createAdmin } from "tiercache/admin";

const cache = createCache({ name: "crm", ttl: "5m" });
const admin = createAdmin(cache, { environment: process.env["NODE_ENV"] ?? "development" });
const { url } = await admin.listen({ port: Number(process.env["ADMIN_PORT"] ?? 0) });
console.log(url);

for (let id = 0; id < 1_000; id += 1)
  await cache.getOrLoad(`user:${id % 200}`, async () => ({ id, name: `Ann ${id}` }));
