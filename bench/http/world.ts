import { Agent, createServer, get, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { createCache, memory, type Cache } from "../../src/index.js";
import { httpCache } from "../../src/http/node/http-cache.js";

/** An application behind a cache, in this process. */
export interface World {
  readonly cache: Cache;
  /** Requests that the application was asked. */
  readonly runs: () => number;
  /** Milliseconds until the first byte of the body, and until its end. */
  readonly ask: (path: string, headers?: Record<string, string>) => Promise<{ first: number; last: number }>;
  readonly close: () => Promise<void>;
}

export async function world(
  listener: (incoming: IncomingMessage, outgoing: ServerResponse) => unknown,
  maxBytes = "64mb",
): Promise<World> {
  const cache = createCache({ name: "bench", tiers: [memory({ maxBytes })] });
  let runs = 0;
  const counted: RequestListener = (incoming, outgoing) => {
    runs += 1;
    listener(incoming, outgoing);
  };
  const server = createServer(httpCache(cache).handler(counted));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  // Connections stay open, as a browser's or a proxy's do: opening one costs more than a hit.
  const agent = new Agent({ keepAlive: true });
  return {
    cache,
    runs: () => runs,
    ask: (path, headers = {}) => ask(agent, port, path, headers),
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await cache.close();
    },
  };
}

function ask(
  agent: Agent,
  port: number,
  path: string,
  headers: Record<string, string>,
): Promise<{ first: number; last: number }> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    get({ port, path, headers, host: "127.0.0.1", agent }, (response) => {
      let first = 0;
      response.on("data", () => (first ||= performance.now() - began));
      response.on("end", () => resolve({ first, last: performance.now() - began }));
      response.on("error", reject);
    }).on("error", reject);
  });
}
