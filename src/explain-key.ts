import type { Engine } from "./engine.js";
import type { Held } from "./entries/held.js";
import type { Explanation, TierExplanation } from "./explain.js";
import type { ReadSpec } from "./load/shared-entries.js";

/** Looks at a key in every tier without changing anything: no promotion, no counting, no load. */
export async function explain(engine: Engine, path: string, spec: ReadSpec): Promise<Explanation> {
  const tiers = [
    inMemory(engine, path),
    ...(engine.sides.all.length === 0 ? [] : [await inShared(engine, path, spec)]),
  ];
  const failures = engine.backoff.state(path);
  const loading = engine.flights.get(path) !== undefined;
  return { key: path, tiers, loading, failures, summary: summary(tiers, loading, failures) };
}

function inMemory(engine: Engine, path: string): TierExplanation {
  const { state, held, reason } = engine.local.inspect(path);
  if (held === undefined) return { ...ABSENT, tier: "memory", reason };
  const told = TOLD[state];
  return {
    tier: "memory",
    state: told,
    reason: told === "fresh" ? undefined : reason,
    ...measured(engine, held),
    bytes: held.bytes,
  };
}

async function inShared(engine: Engine, path: string, spec: ReadSpec): Promise<TierExplanation> {
  const shared = engine.sides.of(path);
  const down: TierExplanation = { ...ABSENT, tier: "shared", state: "down", reason: "error" };
  if (shared === undefined) return down;
  let answer;
  const stood = shared.follower.position ?? 0;
  try {
    answer = await shared.guard.call("store.read", () => shared.tier.store.read([path]));
  } catch {
    return down;
  }
  const [value] = answer.values;
  if (value === undefined) return { ...ABSENT, tier: "shared", reason: "cold" };
  const bytes = value instanceof Uint8Array ? value.length : value.size;
  const found = await shared.entries.examine(path, value, answer.head, spec, stood);
  if (found.state === "down") return down;
  if (found.state === "miss") {
    const tags = value instanceof Uint8Array ? await tagsOf(path, value, spec) : [];
    return { ...ABSENT, tier: "shared", state: "dead", reason: found.reason, bytes, tags };
  }
  const reason = found.state === "fresh" ? undefined : "expired";
  return { tier: "shared", state: found.state, reason, ...measured(engine, found.held), bytes };
}

/** What `LocalEntries` calls an entry, in the words of an explanation. */
const TOLD = { fresh: "fresh", early: "fresh", stale: "stale", suspect: "dead", none: "dead" } as const;

const ABSENT: Omit<TierExplanation, "tier"> = {
  state: "absent",
  reason: undefined,
  freshFor: undefined,
  age: undefined,
  tags: [],
  bytes: undefined,
  position: undefined,
};

function measured(engine: Engine, held: Held): Pick<TierExplanation, "freshFor" | "age" | "tags" | "position"> {
  const now = engine.clock.now();
  return { freshFor: held.freshUntil - now, age: now - held.createdAt, tags: held.tags, position: held.position };
}

async function tagsOf(path: string, bytes: Uint8Array, spec: ReadSpec): Promise<readonly string[]> {
  try {
    return (await spec.form.decode(path, bytes)).tags;
  } catch {
    return [];
  }
}

function summary(tiers: readonly TierExplanation[], loading: boolean, failures: Explanation["failures"]): string {
  const fresh = tiers.find((tier) => tier.state === "fresh");
  if (fresh !== undefined) return `A read is answered from ${fresh.tier}.`;
  const said = tiers
    .map((tier) => `${tier.tier}: ${tier.state}${tier.reason === undefined ? "" : ` (${tier.reason})`}`)
    .join(", ");
  const next = loading ? "a load is under way" : "a read loads";
  const then = failures === undefined ? next : `its loader failed ${failures.count} times in a row`;
  return `${said}; ${then}.`;
}
