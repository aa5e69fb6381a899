import { CacheError } from "../errors.js";
import type { Head } from "../invalidation/record.js";
import type { LeaseAnswer, Leases } from "../tiers/shared.js";
import { contended, type HeadItem, type LogHead } from "./head.js";
import { seconds, type Items, type Version } from "./items.js";
import { isStamped, isUsable, leaseLeft, type Found, type Keyed } from "./keyed.js";
import { headOf, type Log } from "./log.js";

const MAX_TRIES = 50;
/** The least a holder's lease is said to last: its end is known to a second only, and who waits should not ask all the time. */
const SHORTEST = 250;

interface Wanted {
  readonly token: string;
  readonly ttl: number;
  readonly seen?: Uint8Array | undefined;
  readonly takeOver?: boolean | undefined;
}

/**
 * Leases of one cache; see `keyed.ts` and `store.ts`.
 *
 * Fencing numbers are the server's start in microseconds plus the CAS value of the write that granted the lease: every
 * write of that server has a larger one than those before it, and a later life of it a later start.
 */
export function memcachedLeases(keyed: Keyed, head: HeadItem, log: Log, items: Items): Leases {
  const acquire = async (key: string, wanted: Wanted): Promise<LeaseAnswer | undefined> => {
    const lease = { token: wanted.token, seconds: seconds(wanted.ttl) };
    const start = items.started();
    // Sent in this order on one connection: the head is older than the lease, and than the entry.
    const asked = head.read();
    const isCold = wanted.seen === undefined && wanted.takeOver !== true;
    const last = head.last?.generation;
    const free =
      isCold && last !== undefined
        ? keyed.change(key, undefined, {
            generation: last,
            holder: lease,
            entry: undefined,
            manifest: false,
            remaining: 0,
          })
        : undefined;
    const [now, base, added, found] = await Promise.all([asked, start, free, keyed.find(key)]);
    // One whose generation is over is replaced: its fill would be believed by nobody.
    if (added !== undefined && last === now.generation) return won(now, base, added);
    const current =
      found?.generation === now.generation ? found : found && { ...found, entry: undefined, manifest: false };
    if (wanted.takeOver !== true && current !== undefined) {
      const answer = refusal(key, current, now, wanted);
      if (answer !== undefined) return answer;
    }
    const version = await keyed.change(key, found, {
      generation: now.generation,
      holder: lease,
      entry: current?.entry,
      manifest: current?.manifest ?? false,
      remaining: found?.remaining ?? 0,
    });
    return version && won(now, base, version);
  };

  const refusal = (key: string, found: Found, now: LogHead, { token, seen }: Wanted): LeaseAnswer | undefined => {
    if (isUsable(found) && !isStamped(found, seen)) {
      const value = keyed.valueOf(key, found);
      if (value !== undefined) return { state: "filled", value, head: headOf(now) };
    }
    const { holder } = found;
    if (holder === undefined || holder.token === token) return undefined;
    // One second more was asked for than the holder was told.
    return { state: "held", remaining: Math.max(SHORTEST, (leaseLeft(found) - 1) * 1_000), head: headOf(now) };
  };

  /** Does something to an item whose lease is the token's; false when it is not. */
  const held = (key: string, token: string, act: (found: Found) => Promise<boolean>): Promise<boolean> =>
    keyed.update(key, async (found) => {
      if (found?.holder?.token !== token) return false;
      return (await act(found)) ? true : undefined;
    });

  return {
    async acquire(key, options): Promise<LeaseAnswer> {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const answer = await acquire(key, options);
        if (answer !== undefined) return answer;
      }
      throw contended();
    },

    async renew(key, token, ttl): Promise<boolean> {
      const holder = { token, seconds: seconds(ttl) };
      return held(key, token, async (found) => (await keyed.change(key, found, { ...found, holder })) !== undefined);
    },

    async fill(key, token, value, ttl): Promise<boolean> {
      const staged = await keyed.stage(value, ttl);
      return held(key, token, (found) => keyed.fill(key, found, found.generation, staged, ttl));
    },

    async commit(key, token, value, ttl, origin): Promise<Head | undefined> {
      const staged = await keyed.stage(value, ttl);
      let version: Version | undefined;
      const stands = await held(key, token, async (found) => {
        // The old entry goes before the record is appended, as in a put.
        const lease = { token, seconds: leaseLeft(found) };
        const change = { ...found, entry: undefined, manifest: false, holder: lease };
        version = found.entry === undefined ? found : await keyed.change(key, found, change);
        return version !== undefined;
      });
      if (!stands || version === undefined) return undefined;
      const now = await log.append({ marks: [{ kind: "key", key }], soft: false, origin });
      return (await keyed.fill(key, version, now.generation, staged, ttl)) ? headOf(now) : undefined;
    },

    async release(key, token): Promise<boolean> {
      return held(key, token, async (found) => {
        if (found.entry === undefined) return keyed.remove(key, found);
        return (await keyed.change(key, found, { ...found, holder: undefined })) !== undefined;
      });
    },
  };
}

function won(now: LogHead, base: number, { cas }: Version): LeaseAnswer {
  const fence = base + Number(cas);
  if (!Number.isSafeInteger(fence)) throw new CacheError("ERR_CACHE_TIER", "memcached has run out of fencing numbers");
  return { state: "won", fence, head: headOf(now) };
}
