import { randomBytes } from "node:crypto";
import type { EntryFields } from "../entries/entry.js";
import { STAMP_LENGTH, STAMP_OFFSET } from "../entries/envelope.js";
import type { Engine } from "../engine.js";
import { notePath } from "../feed/note-path.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { StoredValue } from "../tiers/shared.js";

/** How a text was received. */
export type PinAnswer =
  /** It hangs there; `stamp` says that it is this one. */
  | { readonly state: "pinned"; readonly stamp: Uint8Array }
  /** Somebody else's hangs there, or is just being pinned. */
  | { readonly state: "taken" };

/**
 * Short texts that the processes of a cache show each other in the shared tier, each under a name and for a while. They touch
 * neither the log nor memory: a text pinned every second wakes nobody's cache and drops nothing from the log, which a written entry would.
 *
 * A place is held by pinning again before the text's time is over, with the stamp of the last one.
 */
export interface Pinboard {
  /** Whether there is a shared tier at all. */
  readonly stands: boolean;
  /**
   * Pins a text where nothing hangs, or where the text `seen` hangs; with `over`, whatever hangs there.
   *
   * @param ttl milliseconds
   * @throws CacheError `ERR_CACHE_TIER` when the tier does not answer.
   */
  pin(
    name: string,
    text: string,
    options: { readonly ttl: number; readonly seen?: Uint8Array | undefined; readonly over?: boolean | undefined },
  ): Promise<PinAnswer>;
  /** In the order of the names; `undefined` where nothing hangs that can be read. @throws as `pin` does. */
  read(names: readonly string[]): Promise<readonly (string | undefined)[]>;
}

/** Longest text, in bytes: it goes along with small entries. */
const MOST_BYTES = 256 * 1_024;
/** How long a place is being written to, at the most; milliseconds. */
const WRITING = 2_000;

export function pinboardOf(engine: Engine): Pinboard {
  return {
    stands: engine.sides.all.length > 0,
    async pin(name, text, { ttl, seen, over }): Promise<PinAnswer> {
      const path = notePath(name);
      const side = engine.sides.of(path);
      if (side === undefined) return { state: "taken" };
      const token = randomBytes(12).toString("base64url");
      const answer = await side.guard.call("pin", () =>
        side.tier.leases.acquire(path, { token, ttl: WRITING, seen, takeOver: over }),
      );
      if (answer.state !== "won") return { state: "taken" };
      const stamp = randomBytes(STAMP_LENGTH);
      const bytes = await engine.forms.default.encode(path, fieldsOf(text, stamp, ttl), engine.clock.wall());
      const filled = await side.guard.call("pin", () => side.tier.leases.fill(path, token, bytes, ttl));
      return filled ? { state: "pinned", stamp } : { state: "taken" };
    },
    async read(names): Promise<readonly (string | undefined)[]> {
      const texts = new Map<string, string>();
      const paths = names.map(notePath);
      for (const [side, group] of engine.sides.group(paths, (path) => path)) {
        const { values } = await side.guard.call("pins", () => side.tier.store.read(group));
        for (const [at, path] of group.entries()) {
          const text = await textOf(engine, side, path, values[at]);
          if (text !== undefined) texts.set(path, text);
        }
      }
      return paths.map((path) => texts.get(path));
    },
  };
}

async function textOf(
  engine: Engine,
  side: SharedSide,
  path: string,
  value: StoredValue | undefined,
): Promise<string | undefined> {
  const size = value instanceof Uint8Array ? value.length : (value?.size ?? 0);
  if (value === undefined || size > MOST_BYTES || size <= STAMP_OFFSET) return undefined;
  try {
    const bytes = await side.entries.bytesOf(value);
    const text = bytes && (await engine.forms.default.decode(path, bytes)).value;
    return typeof text === "string" ? text : undefined;
  } catch {
    // Not ours, or no longer there: nothing hangs in that place.
    return undefined;
  }
}

function fieldsOf(value: string, stamp: Uint8Array, ttl: number): EntryFields {
  return {
    value,
    stamp,
    ttl,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    loadCost: 0,
    position: 0,
    tags: [],
    fingerprint: 0,
    etag: undefined,
    sliding: false,
  };
}
