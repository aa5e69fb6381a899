import type { SharedTier } from "../tiers/shared.js";
import { redisLeases } from "./leases.js";
import { redisLog } from "./log.js";
import { redisStore, type Wiring } from "./store.js";

/** One tier, put together. The parameters after the first are those of its log. */
export function tierOf(wiring: Wiring, ...subscribing: Tail<Parameters<typeof redisLog>>): SharedTier {
  const log = redisLog(wiring, ...subscribing);
  return {
    kind: "redis",
    store: redisStore(wiring),
    leases: redisLeases(wiring),
    log,
    async close() {
      log.close();
      wiring.parts.close();
    },
  };
}

type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;
