import { decodeValue, encodeValue } from "../entries/codec/codec.js";
import { CacheError } from "../errors.js";
import type { SealedBatch, StoredOperation } from "./journal.js";
import type { Change, FlushBatch, RowId } from "./sink.js";

/** What the body of an operation says. */
export interface Operation {
  readonly kind: Change["kind"];
  readonly id: RowId;
  readonly base: number | undefined;
  readonly value: unknown;
}

/** What is to be read of a row while operations on it are pending. */
export type Pending =
  | { readonly state: "none" }
  | { readonly state: "present"; readonly value: unknown }
  | { readonly state: "absent" }
  /** Fields over a row that only the source has. */
  | { readonly state: "patched"; readonly fields: object };

/** The form of bodies; another one is read by a later release only. */
const FORMAT = 1;

/** @throws CacheError `ERR_CACHE_VALUE` for what cannot be stored. */
export function encodeOperation({ kind, id, base, value }: Operation): Uint8Array {
  return encodeValue([FORMAT, kind, id, base, value]);
}

/** @throws CacheError `ERR_CACHE_CORRUPT`; `ERR_CACHE_TIER` for one of a later release, which is for a process of that. */
export function decodeOperation(body: Uint8Array): Operation {
  const read = decodeValue(body);
  if (!Array.isArray(read) || typeof read[0] !== "number" || read[0] < FORMAT) {
    throw new CacheError("ERR_CACHE_CORRUPT", "An operation in the journal cannot be read");
  }
  if (read[0] > FORMAT) {
    throw new CacheError("ERR_CACHE_TIER", `An operation in the journal is of format ${read[0]}, not known here yet`);
  }
  // Of this format, these are the fields: who appended it has checked them.
  const [, kind, id, base, value] = read as [number, Operation["kind"], RowId, number | undefined, unknown];
  return { kind, id, base, value };
}

/** Folds the bodies since the newest whole one. */
export function pendingOf(bodies: readonly Uint8Array[]): Pending {
  let pending: Pending = { state: "none" };
  for (const body of bodies) {
    const { kind, value } = decodeOperation(body);
    if (kind === "put") pending = { state: "present", value };
    else if (kind === "delete") pending = { state: "absent" };
    else if (kind === "patch") pending = patched(pending, value as object);
  }
  return pending;
}

/** The row as it will be; `undefined` where it will not be. */
export function overlaid(pending: Pending, stored: unknown): unknown {
  switch (pending.state) {
    case "none":
      return stored;
    case "present":
      return pending.value;
    case "absent":
      return undefined;
    case "patched":
      return typeof stored === "object" && stored !== null ? { ...stored, ...pending.fields } : stored;
  }
}

/** A sealed batch as a sink is given it. */
export function flushBatch(name: string, sealed: SealedBatch, nextGeneration: string): FlushBatch {
  const { batchId, generation, seq, operations } = sealed;
  return {
    name,
    batchId,
    generation,
    seq,
    nextGeneration,
    opIds: operations.map(({ opId }) => opId),
    changes: (applied) =>
      coalesced(applied === undefined ? operations : operations.filter(({ opId }) => !applied.has(opId))),
  };
}

/** The operations on each key as one change, as far as that goes; changes stand where their last operation stood. */
export function coalesced(operations: readonly StoredOperation[]): readonly Change[] {
  const changes = new Map<string, Change>();
  const done: Change[] = [];
  for (const operation of operations) {
    const { key } = operation;
    const next = changeOf(operation);
    if (next === undefined) continue;
    const last = changes.get(key);
    const both = last === undefined ? next : joined(last, next);
    if (last !== undefined && both === undefined) done.push(last);
    changes.delete(key);
    changes.set(key, both ?? next);
  }
  return [...done, ...changes.values()];
}

/** Operations that nobody can read, now or later: for the dead letters. */
export function unreadable(operations: readonly StoredOperation[]): readonly StoredOperation[] {
  return operations.filter((operation) => changeOf(operation) === undefined);
}

/** `undefined` when its body is damaged. */
function changeOf({ opId, key, by, body }: StoredOperation): Change | undefined {
  try {
    return { ...decodeOperation(body), key, by, bumps: 1, opIds: [opId] };
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_CORRUPT") return undefined;
    throw error;
  }
}

/** Two changes of one key as one; `undefined` when the second must be judged against what the first has made. */
function joined(first: Change, second: Change): Change | undefined {
  const fits = second.base === undefined || (first.base !== undefined && second.base === first.base + first.bumps);
  if (!fits) return undefined;
  const both = {
    ...second,
    base: first.base,
    by: first.by + second.by,
    bumps: first.bumps + second.bumps,
    opIds: [...first.opIds, ...second.opIds],
  };
  if (second.kind === "add") return first.kind === "add" && Number.isSafeInteger(both.by) ? both : undefined;
  if (second.kind !== "patch") return both;
  // What a patch lies over is there: a row deleted before has no value, and is none to be patched.
  if (!isObject(first.value) || !isObject(second.value)) return undefined;
  return { ...both, kind: first.kind, value: { ...first.value, ...second.value } };
}

function patched(pending: Pending, fields: object): Pending {
  switch (pending.state) {
    case "none":
      return { state: "patched", fields };
    case "patched":
      return { state: "patched", fields: { ...pending.fields, ...fields } };
    case "present":
      return isObject(pending.value) ? { state: "present", value: { ...pending.value, ...fields } } : pending;
    case "absent":
      return pending;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
