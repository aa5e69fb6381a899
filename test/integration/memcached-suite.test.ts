import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { memcached } from "../../src/memcached/index.js";
import { sharedTierSuite, type SharedTierServer } from "../../src/testing/index.js";
import { startMemcached, type MemcachedServer } from "../support/memcached-server.js";
import { memcachedAdmin } from "./memcached-admin.js";

let server: MemcachedServer;

beforeAll(async () => {
  server = await startMemcached();
});
afterAll(() => server.stop());

async function openServer(): Promise<SharedTierServer> {
  const admin = memcachedAdmin(server.port);
  const names = new Set<string>();
  return {
    // Its clock ticks once a second, and a lease is kept one more than asked for.
    shortest: 1_000,
    lingers: 2_000,
    lacks: ["settled", "batches"],
    open(cacheName, bounds) {
      names.add(cacheName);
      return memcached({ port: server.port, pollInterval: 2, ...bounds }).open(cacheName);
    },
    flush: async () => void (await server.ask("flush_all", "OK\r\n")),
    async trimLog() {
      for (const name of names) await admin.trimLog(name);
    },
    pass: (ms) => sleep(ms),
    close: async () => admin.close(),
  };
}

sharedTierSuite("memcached", openServer, { describe, it });
