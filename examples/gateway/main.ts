import { createGateway } from "tiercache/gateway";
import { startApi } from "./api.js";

const api = await startApi();
const gateway = createGateway({ origin: api.url, listen: { port: 0 } });
const { url } = await gateway.start();

async function show(what: string, init?: RequestInit): Promise<void> {
  const response = await fetch(`${url}/books/1`, init);
  const text = await response.text();
  const how = (response.headers.get("cache-status") ?? "").replace(/ttl=\d+/, "ttl=…");
  console.log(`${what}: ${response.status} ${text} (${how})`);
}

await show("first");
await show("second");
await show("write", { method: "PUT", body: "The Cyberiad" });
await show("after the write");
await gateway.purge([{ tag: "books" }], "soft");
await show("after a soft purge");

await gateway.stop();
api.server.close();
