import {
  pattern,
  type Cache,
  type ChangeTarget,
  type Entity,
  type InvalidationTarget,
  type LoaderContext,
  type LoadOptions,
} from "../../src/index.js";

/** What a cache is given for a row, and what it must give back. */
export interface Value {
  readonly row: string;
  readonly version: number;
}

/** A row of the model's database, and the ways to reach it through the cache of a process. */
export interface Row {
  readonly name: string;
  readonly tags: readonly string[];
  readonly getOrLoad: (
    process: number,
    loader: (context: LoaderContext) => Promise<Value>,
    options: LoadOptions,
  ) => Promise<Value>;
  readonly get: (process: number) => Promise<Value | undefined>;
  readonly peek: (process: number) => Value | undefined;
  readonly writeThrough: (process: number, write: () => Promise<Value>) => Promise<Value>;
}

/** Something to invalidate, and the rows it means. */
export interface Aim {
  readonly name: string;
  readonly rows: readonly number[];
  readonly run: (process: number, mode: "hard" | "soft") => Promise<unknown>;
}

/** Rows under plain keys. Those that follow are the items of an entity, and then the rows that are set. */
export const PLAIN = ["p:a:1", "p:a:2", "p:b:1", "q"] as const;
const ITEMS = [1, 2] as const;
/** Rows whose writers put the value themselves, one at a time: a `set` is not fenced against what its caller read before. */
export const SET = ["s:1", "s:2"] as const;
export const FIRST_SET: number = PLAIN.length + ITEMS.length;

/** Whether the row is an item of the entity: of which each version has an entry of its own. */
export function isItem(row: number): boolean {
  return row >= PLAIN.length && row < FIRST_SET;
}

/** Ways in which a feed can say that a row changed. */
export const MANNERS = 3;

/** The rows, all that can be aimed at them, and what a feed says of their changes. */
export function rowsOf(cacheOf: (process: number) => Cache): {
  rows: readonly Row[];
  aims: readonly Aim[];
  changeOf: (process: number, row: number, manner: number) => ChangeTarget;
} {
  const itemOf = items(cacheOf);
  const plain = (key: string, tags: readonly string[]): Row => ({
    name: key,
    tags,
    getOrLoad: (process, loader, options) => cacheOf(process).getOrLoad(key, loader, { ...options, tags }),
    get: (process) => cacheOf(process).get(key),
    peek: (process) => cacheOf(process).peek(key),
    writeThrough: (process, write) => cacheOf(process).writeThrough(key, write, { tags }),
  });
  const rows = [
    ...PLAIN.map((key, at) => plain(key, [at < 2 ? "t:even" : "t:odd", "u"])),
    ...ITEMS.map((id): Row => ({
      name: `item ${id}`,
      tags: [],
      getOrLoad: (process, loader, options) => itemOf(process).getOrLoad(id, loader, options),
      get: (process) => itemOf(process).find(id),
      peek: (process) => itemOf(process).peek(id),
      writeThrough: (process, write) => itemOf(process).writeThrough(id, write),
    })),
    ...SET.map((key) => plain(key, [])),
  ];
  const changeOf = (process: number, row: number, manner: number): ChangeTarget => {
    if (isItem(row)) return itemChange(itemOf(process), row, manner);
    const { name, tags } = rows[row] as Row;
    const [tag] = tags;
    return manner === 0 || tag === undefined ? { key: name } : { tag };
  };
  return { rows, aims: aimsOf(cacheOf, itemOf), changeOf };
}

function itemChange(of: Entity<number, Value>, row: number, manner: number): ChangeTarget {
  if (manner === 0) return { of, ids: [row - PLAIN.length + 1] };
  return manner === 1 ? { of, tags: ["own"] } : { of, all: true };
}

function aimsOf(cacheOf: (process: number) => Cache, itemOf: (process: number) => Entity<number, Value>): Aim[] {
  const aim = (name: string, target: InvalidationTarget, ...rows: number[]): Aim => ({
    name,
    rows,
    run: (process, mode) => cacheOf(process).invalidate(target, { mode }),
  });
  return [
    ...PLAIN.flatMap((key, row): Aim[] => [
      {
        name: `the key ${key}`,
        rows: [row],
        run: (process, mode) => (mode === "hard" ? cacheOf(process).delete(key) : cacheOf(process).expire(key)),
      },
      aim(key, { keys: [key, "another"] }, row),
    ]),
    aim("p:a:1 and p:b:1", { keys: ["p:a:1", "p:b:1"] }, 0, 2),
    aim("tag t:even", { tag: "t:even" }, 0, 1),
    aim("tag t:odd", { tag: "t:odd" }, 2, 3),
    aim("tags t:odd and u", { tags: ["t:odd", "u"], match: "all" }, 2, 3),
    aim("prefix p:a", { prefix: "p:a" }, 0, 1),
    aim("prefix p:", { prefix: "p:" }, 0, 1, 2),
    aim("pattern p:*:1", { pattern: pattern`p:*:1` }, 0, 2),
    aim("all", { all: true }, 0, 1, 2, 3, 4, 5, 6, 7),
    aim("the entity", { entity: "item", scope: "acme" }, 4, 5),
    ...ITEMS.map((id): Aim => ({
      name: `item ${id}`,
      rows: [PLAIN.length - 1 + id],
      run: (process, mode) => itemOf(process).invalidate(id, { mode }),
    })),
    {
      name: "tag of items",
      rows: [4, 5],
      run: (process, mode) => itemOf(process).invalidateTag("own", { mode }),
    },
  ];
}

/** The entity in the cache of a process. One runs the version before the others': a deploy that is rolling. */
function items(cacheOf: (process: number) => Cache): (process: number) => Entity<number, Value> {
  const declared = new Map<Cache, Entity<number, Value>>();
  return (process) => {
    const cache = cacheOf(process);
    let item = declared.get(cache);
    if (item === undefined) {
      const version = process === 0 ? 1 : 2;
      item = cache.entity<number, Value>({ name: "item", version, scope: "tenant", tags: () => ["own"] }).in("acme");
      declared.set(cache, item);
    }
    return item;
  };
}
