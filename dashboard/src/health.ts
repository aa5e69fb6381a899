import type { Overview } from "../../src/admin/merge.js";
import type { CacheFacts } from "./api.js";
import { duration, number, plural } from "./format.js";

export type Tone = "good" | "warn" | "bad" | "idle";

/** One thing that can be well or not. */
export interface Check {
  readonly name: string;
  readonly tone: Tone;
  /** A few words. */
  readonly state: string;
  /** What it means, and what to do. */
  readonly advice?: string;
}

/** Past this the log is not followed as it should be; milliseconds. */
const HEARD_LATE = 5_000;

/** What is well and what is not, worst first where it is not. */
export function checksOf(cache: CacheFacts, overview: Overview): readonly Check[] {
  return [
    memory(overview),
    shared(cache, overview),
    bus(overview),
    feed(overview),
    queue(overview),
    behind(overview),
  ].flatMap((check) => check ?? []);
}

export function worst(checks: readonly Check[]): Tone {
  if (checks.some(({ tone }) => tone === "bad")) return "bad";
  return checks.some(({ tone }) => tone === "warn") ? "warn" : "good";
}

function memory({ memory: held }: Overview): Check {
  if (held === undefined) return { name: "Memory", tone: "idle", state: "no memory tier" };
  const share = Math.max(held.bytes / held.maxBytes, held.entries / held.maxEntries);
  return { name: "Memory", tone: "good", state: `${number(held.entries)} entries, ${Math.round(100 * share)}% full` };
}

function shared(cache: CacheFacts, overview: Overview): Check {
  const tier = overview.shared;
  if (tier === undefined)
    return {
      name: "Shared tier",
      tone: "idle",
      state: "none",
      advice: "Memory only: each process loads and invalidates for itself.",
    };
  const kind = cache.tiers.shared ?? tier.kind;
  const down = tier.shards.filter(({ up }) => !up).length;
  if (down > 0) {
    return {
      name: kind,
      tone: "bad",
      state:
        tier.shards.length === 1
          ? `down (breaker ${tier.shards[0]?.circuit ?? "open"})`
          : `${down} of ${tier.shards.length} shards down`,
      advice: "Reads go on from memory and the loaders. Invalidations wait and are sent again.",
    };
  }
  return { name: kind, tone: "good", state: tier.shards.length === 1 ? "up" : `${tier.shards.length} shards up` };
}

function bus(overview: Overview): Check | undefined {
  const tier = overview.shared;
  if (tier === undefined) return undefined;
  if (tier.unsent > 0)
    return {
      name: "Invalidations",
      tone: "bad",
      state: `${plural(tier.unsent, "waits", "wait")} to be sent`,
      advice: "Others may serve the old value until they are acknowledged.",
    };
  if (tier.heardAgo > HEARD_LATE)
    return {
      name: "Invalidations",
      tone: "bad",
      state: `log not heard for ${duration(tier.heardAgo)}`,
      advice: "The subscription or the server does not answer.",
    };
  if (tier.messagesRefused > 0)
    return {
      name: "Invalidations",
      tone: "warn",
      state: `${plural(tier.messagesRefused, "message")} not believed`,
      advice: "Processes sign with different secrets, or somebody else writes to the bus.",
    };
  return { name: "Invalidations", tone: "good", state: `heard ${duration(Math.max(0, tier.heardAgo))} ago` };
}

function feed(overview: Overview): Check | undefined {
  const state = overview.feed;
  if (state === undefined) return undefined;
  const ago = state.completeAgo as number | null;
  if (ago === null || ago > state.maxStaleness)
    return {
      name: "Feed",
      tone: "bad",
      state: ago === null ? "not complete yet" : `${duration(ago)} behind`,
      advice: "Fed entries are not believed until the feed has caught up: reads are slower, never older.",
    };
  return { name: "Feed", tone: "good", state: `${duration(ago)} behind` };
}

function queue({ gate }: Overview): Check {
  const advice =
    gate.queued > 0
      ? "More loads are wanted than the gate lets through: the source is slow, or `loads.concurrency` small."
      : undefined;
  return {
    name: "Loads",
    tone: gate.queued > 0 ? "warn" : "good",
    state: gate.queued > 0 ? `${number(gate.queued)} queued` : `${number(gate.active)} running`,
    ...(advice && { advice }),
  };
}

function behind({ writeBehind }: Overview): Check | undefined {
  if (writeBehind.length === 0) return undefined;
  const dead = writeBehind.reduce((sum, one) => sum + one.dead, 0);
  const depth = writeBehind.reduce((sum, one) => sum + one.depth, 0);
  if (dead > 0)
    return {
      name: "Write-behind",
      tone: "bad",
      state: plural(dead, "dead letter"),
      advice: "The source refused them: look at why, then retry or discard.",
    };
  return { name: "Write-behind", tone: "good", state: `${number(depth)} waiting` };
}
