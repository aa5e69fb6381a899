import { randomBytes } from "node:crypto";
import type { Head, Mark } from "../invalidation/record.js";
import type { SharedPut, SharedRead, SharedStore } from "../tiers/shared.js";
import type { HeadItem } from "./head.js";
import { isStamped, leaseLeft, type Keyed } from "./keyed.js";
import { headOf, type Log } from "./log.js";
import { KIND_ENTRY, KIND_LEASE } from "./stored.js";
import { nameOf } from "./wire.js";

/** Seconds a put may take from its first step to its last; then it has lost the keys. */
const PUT_TTL = 10;

/**
 * Entries of one cache. memcached is atomic for one item only, so what the contract calls one step are several here,
 * in an order in which what lies between does no harm. For implementers:
 *
 * - *Reads* ask for the head first. Then every key invalidated up to it was removed (or marked) before its entry is
 *   read: an entry that is seen is known good up to that head, and maybe further.
 * - *Invalidations* remove or mark first, then append, then answer. A load that began before finds its lease gone; one
 *   that begins in between is younger than the write that is being told of. Who read the old entry before it went read an
 *   older head than the record's position, so the record drops what it kept. One that breaks off in between was not
 *   acknowledged; its caller sends it again.
 * - A *put* takes the key's lease over, which removes what is there, then appends, then fills if it still has the
 *   lease. So of two puts the one that took it last is stored, and one that lost it to a put, a load or an invalidation
 *   is as good as written before it. But its record may be the younger one: then its process must not keep the value in
 *   memory, which would be another than the tier's. It is told so by a head whose `control` is its position, as if
 *   a mark had come in between. Appending first would be wrong: who reads the old entry after it would keep it for good.
 * - A *commit* does the same with the lease it has.
 */
export function memcachedStore(keyed: Keyed, head: HeadItem, log: Log): SharedStore {
  return {
    async read(keys): Promise<SharedRead> {
      // Sent in this order on one connection, so answered in this order.
      const asked = head.look();
      const [now, ...found] = await Promise.all([asked, ...keys.map((key) => keyed.read(key))]);
      const values = found.map((one) => (one?.generation === now?.generation ? one?.value : undefined));
      return { values, head: now && headOf(now) };
    },

    async put(puts, origin): Promise<Head> {
      const byKey = new Map(puts.map((put): [string, SharedPut] => [put.key, put]));
      const entries = await Promise.all(
        Array.from(byKey.values(), async ({ key, value, ttl }) => ({
          key,
          ttl,
          staged: await keyed.stage(value, ttl),
        })),
      );
      const token = `put.${randomBytes(12).toString("base64url")}`;
      const seizing = entries.map(async (entry) => ({
        ...entry,
        version: await keyed.seize(entry.key, token, PUT_TTL),
      }));
      const marks = entries.map(({ key }): Mark => ({ kind: "key", key }));
      const [now, versions] = await Promise.all([log.append({ marks, soft: false, origin }), Promise.all(seizing)]);
      const filled = await Promise.all(
        versions.map(({ key, ttl, staged, version }) => keyed.fill(key, version, now.generation, staged, ttl)),
      );
      return filled.includes(false) ? { ...headOf(now), control: now.position } : headOf(now);
    },

    async invalidate(marks, soft, origin): Promise<{ head: Head; hit: number }> {
      const distinct = [...new Map(marks.map((mark) => [nameOf(mark), mark])).values()];
      const going = distinct.flatMap((mark) => (mark.kind === "key" ? [goes(keyed, mark.key, soft)] : []));
      const [now, ...hits] = await Promise.all([log.append({ marks: distinct, soft, origin }), ...going]);
      return { head: headOf(now), hit: hits.filter(Boolean).length };
    },

    async marks(marks): Promise<readonly { hard: number; soft: number }[]> {
      return log.marks(marks);
    },

    async rules(): Promise<readonly { mark: Mark; hard: number; soft: number }[]> {
      return log.rules();
    },

    async discard(key, stamp): Promise<boolean> {
      return keyed.update(key, async (found) => {
        if (found === undefined || !isStamped(found, stamp)) return false;
        const { holder } = found;
        if (holder === undefined) return (await keyed.remove(key, found)) ? true : undefined;
        // Who holds the lease goes on loading.
        const change = {
          ...found,
          entry: undefined,
          manifest: false,
          holder: { token: holder.token, seconds: leaseLeft(found) },
        };
        return (await keyed.change(key, found, change)) === undefined ? undefined : true;
      });
    },
  };
}

/** Removes or softens what is there; whether it was an entry. */
async function goes(keyed: Keyed, key: string, soft: boolean): Promise<boolean> {
  const kind = keyed.kind(key);
  const gone = soft ? keyed.soften(key) : keyed.remove(key);
  const [was, is] = await Promise.all([kind, gone]);
  if (!is || was === undefined) return false;
  return soft ? was === KIND_ENTRY : was !== KIND_LEASE;
}
