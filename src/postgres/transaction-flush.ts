import type { Cache, InvalidationTarget } from "../api.js";
import type { Queued } from "./transaction.js";

/** Most targets of one invalidation: it is one atomic step in the shared tier. */
const MAX_TARGETS = 5_000;

/** Sends what was queued, in as few invalidations as go. @param failed hears each that was not acknowledged. */
export async function flush(cache: Cache, queue: readonly Queued[], failed: (error: unknown) => void): Promise<void> {
  const hard: InvalidationTarget[] = [];
  const soft: InvalidationTarget[] = [];
  const sends: Promise<unknown>[] = [];
  for (const queued of queue) {
    if ("run" in queued) sends.push(queued.run());
    else (queued.mode === "soft" ? soft : hard).push(...queued.targets);
  }
  for (const [mode, targets] of [["hard", hard] as const, ["soft", soft] as const]) {
    for (let start = 0; start < targets.length; start += MAX_TARGETS) {
      sends.push(cache.invalidate(targets.slice(start, start + MAX_TARGETS), { mode }));
    }
  }
  for (const sent of await Promise.allSettled(sends)) if (sent.status === "rejected") failed(sent.reason);
}
