import type { Cache } from "../../api.js";
import { CacheError } from "../../errors.js";
import { listOf, purge, type PurgeTarget } from "../purge.js";
import { normalTarget } from "./normal-target.js";
import type { HttpPurger } from "./purger.js";

/**
 * The HTTP cache on a cache of ours, as one purger among others: with it the middleware's, the gateway's and the client's
 * stored responses go first, in all processes on the same shared tier.
 */
export function cachedResponses(cache: Cache): HttpPurger {
  let closed = false;
  return {
    name: cache.name,
    cache,
    async purge(targets, options = {}) {
      if (closed) throw new CacheError("ERR_CACHE_CLOSED", `The purger ${cache.name} was closed`);
      const list: readonly PurgeTarget[] = listOf(targets);
      for (const target of list) normalTarget(target);
      if (list.length === 0) return { purger: cache.name, acknowledged: [], failed: [] };
      try {
        await purge(cache, list, { mode: options.mode });
        return { purger: cache.name, acknowledged: list, failed: [] };
      } catch (error) {
        if (!(error instanceof CacheError)) throw error;
        // Not acknowledged by its shared tier, it is sent again by the cache itself.
        const reason = error.code === "ERR_CACHE_TIER" ? "not acknowledged yet, sent again by the cache" : error.code;
        return { purger: cache.name, acknowledged: [], failed: list.map((target) => ({ target, reason })) };
      }
    },
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}
