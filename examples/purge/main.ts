import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createCache, memory } from "tiercache";
import { forwardInvalidations, cachedResponses, surrogateKey, surrogateKeys, varnish } from "tiercache/http";

// A Varnish in a service; here, what it is told.
const proxy = createServer((request, response) => {
  console.log(request.method, request.headers["xkey-purge"]);
  response.end();
}).listen(0, "127.0.0.1");
await once(proxy, "listening");
const { port } = proxy.address() as AddressInfo;

const cache = createCache({ tiers: [memory()] });
const contacts = cache.entity({
  name: "contact",
  scope: "tenant",
  load: (id: number) => ({ id, name: `Contact ${id}` }),
});

// 1. Answers say what they are built from: this row, and the rows of this tenant.
const keys = [surrogateKey("contact", 7, "acme"), surrogateKey("contact", undefined, "acme")];
console.log(surrogateKeys(keys, ["surrogate-key", "xkey"]));

// 2. What is invalidated goes to whoever keeps copies, the nearest to the origin first.
const forwarding = forwardInvalidations(
  cache,
  [
    cachedResponses(cache),
    varnish({ servers: [`http://127.0.0.1:${port}`] }),
    // fastly({ serviceId, token }), cloudflare({ zoneId, token }), cloudFront({ distributionId, credentials }), nginx({ servers })
  ],
  { by: "every" },
);

// 3. A write needs nothing more.
await contacts.in("acme").invalidate(7);

// Only if you want to know what was acknowledged, and what was not.
for (const { purger, acknowledged, failed } of await forwarding.flush()) console.log(purger, acknowledged, failed);

await forwarding.close();
await cache.close();
proxy.close();
