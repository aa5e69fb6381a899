import type { InvalidationTarget } from "../api.js";
import type { TagInput } from "../dependency-tag.js";
import type { KeyInput, ScopeInput, Segment } from "../keys.js";
import type { EntryPolicy } from "../options.js";
import { DEFAULT_POLICY, POLICY_FIELDS, knownOptions, optionError, resolvePolicy, wholeNumber } from "../policy.js";
import type { ReadKind, ScopeDefinition, StoredForm, WriteKind } from "./definition.js";
import type { RowVersionOption } from "../row-versions.js";
import { rowsIn, versionOfRow, type RowTraits } from "./rows.js";
import { scopeName, scopeOf, takesScopeFirst, type ScopeOf } from "./scope.js";

type Args = readonly unknown[];
type Callback<T> = (...args: Args) => T;

/** A read with every question answered. Types of results and arguments are erased: the declaration has checked them. */
export interface DeclaredRead {
  readonly method: string;
  readonly kind: ReadKind;
  readonly room: string;
  readonly policy: EntryPolicy;
  /** The rest of the key. */
  readonly key: (args: Args) => readonly Segment[];
  readonly rows: (result: unknown) => readonly unknown[];
  /** Whether the write of any row drops a result with these rows. */
  readonly listed: (rows: readonly unknown[]) => boolean;
  readonly tags: (result: unknown, args: Args) => readonly TagInput[];
  readonly scope: ScopeOf;
  /** Where the arguments begin that are not the scope. */
  readonly first: number;
  readonly absent: null | undefined;
  readonly aligned: boolean;
}

export interface DeclaredWrite {
  readonly method: string;
  readonly kind: WriteKind;
  readonly ids: (args: Args) => readonly KeyInput[];
  readonly rows: (result: unknown) => readonly unknown[];
  readonly invalidates: (result: unknown, args: Args) => readonly InvalidationTarget[];
  readonly scope: ScopeOf;
}

export interface Declaration {
  readonly name: string;
  readonly version: number;
  readonly form: StoredForm;
  /** What the scope is called; `undefined` when there is none. */
  readonly scope: string | undefined;
  readonly traits: RowTraits;
  readonly rowVersion: RowVersionOption<unknown> | undefined;
  readonly reads: ReadonlyMap<string, DeclaredRead>;
  readonly writes: ReadonlyMap<string, DeclaredWrite>;
  readonly controls: string;
}

/** A definition as it comes in, before anything of it is believed. */
export interface LooseDefinition extends EntryPolicy, StoredForm {
  readonly name: string;
  readonly version?: number | undefined;
  readonly scope?: ScopeDefinition | undefined;
  readonly reads: Readonly<Record<string, ReadKind | LooseRead>>;
  readonly writes?: Readonly<Record<string, WriteKind | LooseWrite>> | undefined;
  readonly id?: ((row: never) => KeyInput | null | undefined) | undefined;
  readonly tags?: ((row: never) => readonly TagInput[]) | undefined;
  readonly belongsTo?: Readonly<Record<string, (row: never) => KeyInput | null | undefined>> | undefined;
  readonly controls?: string | undefined;
  readonly rowVersion?: RowVersionOption<unknown> | undefined;
}

interface LooseRead extends EntryPolicy {
  readonly kind: ReadKind;
  readonly as?: string | undefined;
  readonly key?: Callback<Segment | readonly Segment[]> | undefined;
  readonly rows?: ((result: unknown) => readonly unknown[]) | undefined;
  readonly droppedBy?: "any" | "held" | undefined;
  readonly tags?: ((result: unknown, ...args: Args) => readonly TagInput[]) | undefined;
  readonly scope?: Callback<ScopeInput> | undefined;
  readonly absent?: null | undefined;
  readonly result?: "found" | "aligned" | undefined;
}

interface LooseWrite {
  readonly kind?: WriteKind | undefined;
  readonly ids?: Callback<readonly KeyInput[]> | undefined;
  readonly rows?: ((result: unknown) => readonly unknown[]) | undefined;
  readonly invalidates?: ((result: unknown, ...args: Args) => readonly InvalidationTarget[]) | undefined;
  readonly scope?: Callback<ScopeInput> | undefined;
}

/** The preset that gives each kind its time to live. */
const PRESETS: Readonly<Record<ReadKind, string>> = {
  id: "entity",
  key: "entity",
  many: "entity",
  list: "list",
  search: "search",
  count: "count",
  analytics: "analytics",
};

const WRITE_KINDS: readonly string[] = ["create", "change", "all"] satisfies WriteKind[];
const DEFINITION_OPTIONS = [
  ...POLICY_FIELDS,
  "name",
  "version",
  "scope",
  "reads",
  "writes",
  "id",
  "tags",
  "belongsTo",
  "controls",
  "compression",
  "encrypt",
  "sensitive",
  "exclude",
  "rowVersion",
];
const READ_OPTIONS = [...POLICY_FIELDS, "kind", "as", "key", "rows", "droppedBy", "tags", "scope"];
const MANY_OPTIONS = [...POLICY_FIELDS, "kind", "as", "absent", "result", "scope"];
const WRITE_OPTIONS = ["kind", "ids", "rows", "invalidates", "scope"];

/**
 * Reads a definition.
 *
 * @throws CacheError `ERR_CACHE_OPTION` naming the option, its rule and the value.
 */
export function declare(definition: LooseDefinition, target: object): Declaration {
  knownOptions(definition, DEFINITION_OPTIONS, "repository");
  const { name } = definition;
  if (typeof name !== "string" || name === "") throw optionError("name", "a string that is not empty", name);
  const reads = entriesOf(definition.reads, "reads").map(([method, read]) =>
    declareRead(definition, target, method, read),
  );
  const writes = entriesOf(definition.writes ?? {}, "writes").map(([method, write]) =>
    declareWrite(definition, target, method, write),
  );
  requireDistinctRooms(reads);
  const both = writes.find((write) => reads.some((read) => read.method === write.method));
  if (both !== undefined)
    throw optionError(`writes.${both.method}`, "a method that is not among the reads", both.method);
  const controls = definition.controls ?? "cache";
  if (controls in target) {
    throw optionError("controls", "the name of a property that the target does not have", controls);
  }
  return {
    name,
    version: wholeNumber(definition.version ?? 1, "version", 0),
    // Checked by the entity they are handed to.
    form: {
      compression: definition.compression,
      encrypt: definition.encrypt,
      sensitive: definition.sensitive,
      exclude: definition.exclude,
    },
    scope: definition.scope === undefined ? undefined : scopeName(definition.scope),
    traits: traitsOf(definition),
    rowVersion: versionOfRow(traitsOf(definition), definition.rowVersion),
    reads: new Map(reads.map((read) => [read.method, read])),
    writes: new Map(writes.map((write) => [write.method, write])),
    controls,
  };
}

function declareRead(
  definition: LooseDefinition,
  target: object,
  method: string,
  given: ReadKind | LooseRead,
): DeclaredRead {
  const option = `reads.${method}`;
  const read: LooseRead = typeof given === "string" ? { kind: given } : given;
  requireMethod(target, method, option);
  if (!Object.hasOwn(PRESETS, read.kind))
    throw optionError(`${option}.kind`, `one of ${Object.keys(PRESETS).join(", ")}`, read.kind);
  knownOptions(read, read.kind === "many" ? MANY_OPTIONS : READ_OPTIONS, option);
  requireFunctions(read, ["key", "rows", "tags", "scope"], option);
  if (read.kind === "many" && !Object.hasOwn(read, "absent")) {
    throw optionError(`${option}.absent`, "given: null or undefined, as the read of kind `id` answers", undefined);
  }
  const { key, rows, tags } = read;
  const first = takesScopeFirst(definition.scope, read.scope) ? 1 : 0;
  const single = read.kind === "id" || read.kind === "key";
  const droppedBy = read.droppedBy ?? (single ? "held" : "any");
  if (droppedBy !== "any" && droppedBy !== "held") throw optionError(`${option}.droppedBy`, "any or held", droppedBy);
  return {
    method,
    kind: read.kind,
    room: roomOf(read, option),
    policy: policyOf(definition, read),
    key: (args) => (key === undefined ? segmentsOf(args.slice(first)) : asSegments(key(...args))),
    rows: rows ?? ((result) => (single || Array.isArray(result) ? rowsIn(result) : [])),
    // A row that was not found may be the one that is written next.
    listed: (found) => droppedBy === "any" || (single && found.length === 0),
    tags: (result, args) => tags?.(result, ...args) ?? [],
    scope: scopeOf(definition.scope, definition.name, method, read.scope),
    first,
    absent: read.absent,
    aligned: read.result === "aligned",
  };
}

function declareWrite(
  definition: LooseDefinition,
  target: object,
  method: string,
  given: WriteKind | LooseWrite,
): DeclaredWrite {
  const option = `writes.${method}`;
  const write: LooseWrite = typeof given === "string" ? { kind: given } : given;
  requireMethod(target, method, option);
  knownOptions(write, WRITE_OPTIONS, option);
  const kind = write.kind ?? "change";
  if (!WRITE_KINDS.includes(kind)) throw optionError(`${option}.kind`, `one of ${WRITE_KINDS.join(", ")}`, kind);
  requireFunctions(write, ["ids", "rows", "invalidates", "scope"], option);
  const { ids, invalidates } = write;
  return {
    method,
    kind,
    ids: (args) => ids?.(...args) ?? [],
    rows: write.rows ?? rowsIn,
    invalidates: (result, args) => invalidates?.(result, ...args) ?? [],
    scope: scopeOf(definition.scope, definition.name, method, write.scope),
  };
}

/**
 * The nearer policy wins, field by field. A ttl or a preset of the repository is meant for its rows: lists and the
 * like live by their own.
 */
function policyOf(definition: LooseDefinition, read: LooseRead): EntryPolicy {
  const own = pickPolicy(read);
  const general = pickPolicy(definition);
  const rowLike = PRESETS[read.kind] === "entity";
  const said = rowLike && (general.ttl !== undefined || general.preset !== undefined);
  if (!rowLike || own.preset !== undefined) {
    delete general.ttl;
    delete general.preset;
  }
  const policy: EntryPolicy = { ...(said ? {} : { preset: PRESETS[read.kind] }), ...general, ...own };
  // Checked now, and not at the first call; what a preset's name means only the cache knows.
  resolvePolicy(DEFAULT_POLICY, { ...policy, preset: undefined }, {});
  return Object.freeze(policy);
}

function pickPolicy(options: EntryPolicy): EntryPolicy {
  return Object.fromEntries(
    Object.entries(options).filter(([name, value]) => POLICY_FIELDS.includes(name) && value !== undefined),
  );
}

function traitsOf(definition: LooseDefinition): RowTraits {
  requireFunctions(definition, ["id", "tags"], "repository");
  const parents = Object.entries(definition.belongsTo ?? {});
  requireFunctions(
    Object.fromEntries(parents),
    parents.map(([parent]) => parent),
    "belongsTo",
  );
  // The casts to `unknown` rows: the definition's type has tied these functions to the rows its reads give.
  return {
    name: definition.name,
    id: (definition.id as RowTraits["id"] | undefined) ?? ((row) => (row as { readonly id?: KeyInput }).id),
    tags: (definition.tags as RowTraits["tags"] | undefined) ?? (() => []),
    parents: parents.map(([name, id]) => ({ name, id: id as RowTraits["id"] })),
  };
}

function roomOf(read: LooseRead, option: string): string {
  const room: unknown = read.as ?? (read.kind === "many" ? "id" : read.kind);
  if (typeof room !== "string" || room === "") throw optionError(`${option}.as`, "a string that is not empty", room);
  return room;
}

/** Two lists under one name would answer for each other; rows by id and rows by many ids are the same entries. */
function requireDistinctRooms(reads: readonly DeclaredRead[]): void {
  const taken = new Map<string, DeclaredRead>();
  for (const read of reads) {
    const other = taken.get(read.room);
    const shared = other !== undefined && [read.kind, other.kind].sort().join() === "id,many";
    if (other !== undefined && !shared) {
      throw optionError(`reads.${read.method}.as`, `a name of its own (\`${other.method}\` has it)`, read.room);
    }
    taken.set(read.room, read);
  }
}

/** Arguments left out at the end count as absent: `list(7)` and `list(7, undefined)` are one call. */
function segmentsOf(args: Args): readonly Segment[] {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length -= 1;
  // Whatever is no segment is refused, with its place, when the key is encoded.
  return args.slice(0, length) as Segment[];
}

function asSegments(key: Segment | readonly Segment[]): readonly Segment[] {
  return Array.isArray(key) ? (key as readonly Segment[]) : [key as Segment];
}

function entriesOf<T>(record: Readonly<Record<string, T>>, option: string): [string, T][] {
  if (typeof record !== "object" || record === null)
    throw optionError(option, "an object with a name of a method each", record);
  return Object.entries(record);
}

function requireMethod(target: object, method: string, option: string): void {
  if (typeof Reflect.get(target, method) !== "function") throw optionError(option, "a method of the target", method);
}

function requireFunctions(options: object, names: readonly string[], option: string): void {
  for (const name of names) {
    const value: unknown = Reflect.get(options, name);
    if (value !== undefined && typeof value !== "function") throw optionError(`${option}.${name}`, "a function", value);
  }
}
