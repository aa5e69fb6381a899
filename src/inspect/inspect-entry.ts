import { entityPath } from "../declared-entities.js";
import type { Engine } from "../engine.js";
import type { EntryFields } from "../entries/entry.js";
import type { EntryForm } from "../entries/form.js";
import { explain } from "../explain-key.js";
import type { Explanation } from "../explain.js";
import type { ReadSpec } from "../load/shared-entries.js";
import { DEFAULT_POLICY } from "../policy.js";

/** An entry as one tier holds it. */
export interface EntryFacts {
  readonly value: unknown;
  /** Milliseconds it is fresh, stale while it is refreshed, and stale when a load fails; from its creation, one after the other. */
  readonly ttl: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  /** Milliseconds since its creation. */
  readonly age: number;
  readonly tags: readonly string[];
  readonly etag: string | undefined;
  /** What its load took, in milliseconds; 0 for one that was set. */
  readonly loadCost: number;
  readonly sliding: boolean;
}

/** One step of a read, with what it took just now. */
export interface ReadStep {
  readonly what: "memory" | "shared" | "decode";
  /** Milliseconds. */
  readonly took: number;
  readonly bytes: number | undefined;
}

/** Everything that can be told of one entry. */
export interface InspectedEntry {
  readonly explanation: Explanation;
  readonly entity: string | undefined;
  readonly scope: string | undefined;
  readonly version: number | undefined;
  readonly memory: EntryFacts | undefined;
  readonly shared: EntryFacts | undefined;
  /** What its entity says must not lie readable, or be kept: fields, or all of it. */
  readonly sensitive: true | readonly string[];
  /** What a read of it does, up to where it is answered. */
  readonly steps: readonly ReadStep[];
}

/** Looks at an entry by its path in every tier; nothing is changed or counted. */
export async function inspectEntry(engine: Engine, path: string): Promise<InspectedEntry> {
  const shape = engine.declared.of(path);
  const parts = entityPath(path);
  const form = shape?.form ?? engine.forms.default;
  const steps: ReadStep[] = [];
  const memory = inMemory(engine, path, steps);
  const found = await inShared(engine, path, form, steps);
  const spec: ReadSpec = {
    policy: shape?.policy ?? DEFAULT_POLICY,
    counters: shape?.counters ?? engine.recorder.counters(""),
    countMiss: false,
    // One of an entity that is not declared here is judged by what it says of itself.
    fingerprint: shape?.fingerprint ?? found?.fingerprint ?? 0,
    form,
    accept: shape?.accept,
    // Another's row is shown as it is stored, whatever this process has met.
    rows: undefined,
  };
  return {
    explanation: await explain(engine, path, spec),
    entity: parts?.entity,
    scope: parts?.scope,
    version: parts?.version,
    memory,
    shared: found?.facts,
    sensitive: shape === undefined ? [] : sensitiveOf(shape.definition),
    steps,
  };
}

/** @internal */
export function sensitiveOf(definition: {
  readonly encrypt?: true | readonly string[] | undefined;
  readonly sensitive?: readonly string[] | undefined;
}): true | readonly string[] {
  const { encrypt, sensitive } = definition;
  if (encrypt === true) return true;
  return [...new Set([...(encrypt ?? []), ...(sensitive ?? [])])];
}

/** Looked up so often to be measured: one look-up is shorter than the clock's step. */
const LOOKS = 64;

function inMemory(engine: Engine, path: string, steps: ReadStep[]): EntryFacts | undefined {
  const { clock, local } = engine;
  const begunAt = clock.now();
  for (let i = 1; i < LOOKS; i += 1) local.holds(path);
  const { held } = local.inspect(path);
  steps.push({ what: "memory", took: (clock.now() - begunAt) / LOOKS, bytes: held?.bytes });
  return held && factsOf(held.fields, held.value, clock.now() - held.createdAt);
}

async function inShared(
  engine: Engine,
  path: string,
  form: EntryForm,
  steps: ReadStep[],
): Promise<{ readonly facts: EntryFacts; readonly fingerprint: number } | undefined> {
  const side = engine.sides.of(path);
  if (side === undefined) return undefined;
  const { clock } = engine;
  const begunAt = clock.now();
  try {
    const answer = await side.guard.call("store.read", () => side.tier.store.read([path]));
    const bytes = await side.entries.bytesOf(answer.values[0]);
    const readAt = clock.now();
    steps.push({ what: "shared", took: readAt - begunAt, bytes: bytes?.length });
    if (bytes === undefined) return undefined;
    const envelope = await form.decode(path, bytes);
    steps.push({ what: "decode", took: clock.now() - readAt, bytes: bytes.length });
    const age = Math.max(0, clock.wall() - envelope.createdWall);
    return { facts: factsOf(envelope, envelope.value, age), fingerprint: envelope.fingerprint };
  } catch {
    // The tier is away, or has bytes that are not an entry: the explanation says which.
    return undefined;
  }
}

function factsOf(fields: Omit<EntryFields, "value">, value: unknown, age: number): EntryFacts {
  const { ttl, staleWhileRevalidate, staleIfError, tags, etag, loadCost, sliding } = fields;
  return { value, ttl, staleWhileRevalidate, staleIfError, age, tags, etag, loadCost, sliding };
}
