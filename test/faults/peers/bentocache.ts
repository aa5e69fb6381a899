import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";

import { tagOf, type Row } from "../protocol.js";
import { oneServer, type Peer } from "./peer.js";

/**
 * As "multi-tier" in its documentation has it: memory, Redis, and the Redis bus with its retry queue; with the L2
 * circuit breaker that it offers. Stale while revalidating is its grace period with a soft timeout of 0.
 */
export const bentocachePeer: Peer = {
  name: "bentocache",
  async open(settings) {
    const { url, busUrl } = oneServer(settings);
    const connection = connectionOf(url);
    const bento = new BentoCache({
      default: "main",
      prefix: "faults",
      ttl: settings.ttl,
      l2CircuitBreakerDuration: "1s",
      ...(settings.hardTimeout === undefined ? {} : { hardTimeout: settings.hardTimeout }),
      ...(settings.staleWhileRevalidate === undefined ? {} : { grace: settings.staleWhileRevalidate, timeout: 0 }),
      stores: {
        main: bentostore()
          .useL1Layer(memoryDriver({ maxItems: 1_000_000, maxSize: "64mb" }))
          .useL2Layer(redisDriver({ connection }))
          .useBus(redisBusDriver({ connection: connectionOf(busUrl) })),
      },
    });
    return {
      get: (key, { load }) =>
        bento.getOrSet<Row>({ key, factory: load, ...(settings.tagged ? { tags: [tagOf(key)] } : {}) }),
      value: (key, load) => bento.getOrSet<unknown>({ key, factory: load }),
      async invalidate(how, target) {
        if (how === "tag") await bento.deleteByTag({ tags: [target] });
        else if (how === "key") await bento.delete({ key: target });
        else await bento.clear();
      },
      close: () => bento.disconnectAll(),
    };
  },
};

function connectionOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
