import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cacheControl, conditional, surrogateKey, surrogateKeys, vary, versionTag } from "tiercache/http";

const contact = { id: 7, name: "Ann", version: 1, changed: new Date("2026-01-01T10:00:00Z") };

const server = createServer((request, response) => {
  // Strong, because a version has exactly one body here: If-Match compares by that.
  const etag = versionTag(contact.version, { strong: true });
  const asked = conditional(request, { etag, lastModified: contact.changed, required: true });
  if (asked.status !== undefined) {
    response.writeHead(asked.status, asked.headers).end();
    return;
  }
  if (request.method === "PUT") {
    contact.version += 1;
    response.writeHead(204, { "cache-control": cacheControl.noStore() }).end();
    return;
  }
  response.writeHead(200, {
    ...asked.headers,
    ...surrogateKeys([surrogateKey("contact", 7)]),
    "cache-control": cacheControl.api({ maxAge: "1m", staleWhileRevalidate: "5m" }),
    "content-type": "application/json",
    vary: vary("accept-encoding"),
  });
  response.end(JSON.stringify(contact));
}).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const first = await fetch(url);
const etag = first.headers.get("etag") ?? "";
console.log(first.status, etag, first.headers.get("cache-control"));
console.log((await fetch(url, { headers: { "if-none-match": etag } })).status); // 304: nothing to send
console.log((await fetch(url, { method: "PUT" })).status); // 428: nobody overwrites unseen
console.log((await fetch(url, { method: "PUT", headers: { "if-match": etag } })).status); // 204
console.log((await fetch(url, { method: "PUT", headers: { "if-match": etag } })).status); // 412: somebody was faster
server.close();
