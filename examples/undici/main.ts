import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createCache, memory } from "tiercache";
import { purge } from "tiercache/http";
import { undiciStore } from "tiercache/undici";
import { Agent, interceptors, request } from "undici";

let asked = 0;
const server = createServer((_request, response) => {
  asked += 1;
  response.writeHead(200, { "cache-control": "max-age=60", "surrogate-key": "countries" }).end(`answer ${asked}`);
}).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/countries`;

const cache = createCache({ tiers: [memory({ maxBytes: "64mb" })] });
const dispatcher = new Agent().compose(interceptors.cache({ store: undiciStore(cache) }));
const text = async (): Promise<string> => (await request(url, { dispatcher })).body.text();

console.log(await text()); // answer 1
console.log(await text()); // answer 1
await purge(cache, { tag: "countries" });
console.log(await text()); // answer 2

await dispatcher.close();
await cache.close();
server.close();
