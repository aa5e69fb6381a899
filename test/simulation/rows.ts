import {
  pattern,
  type Cache,
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

/** Rows under plain keys. Those that follow are the items of an entity. */
export const PLAIN = ["p:a:1", "p:a:2", "p:b:1", "q"] as const;
const ITEMS = [1, 2] as const;

/** The rows, and all that can be aimed at them. */
export function rowsOf(cacheOf: (process: number) => Cache): { rows: readonly Row[]; aims: readonly Aim[] } {
  const itemOf = items(cacheOf);
  const plain = PLAIN.map((key, at): Row => {
    const tags = [at < 2 ? "t:even" : "t:odd", "u"];
    return {
      name: key,
      tags,
      getOrLoad: (process, loader, options) => cacheOf(process).getOrLoad(key, loader, { ...options, tags }),
      get: (process) => cacheOf(process).get(key),
      peek: (process) => cacheOf(process).peek(key),
      writeThrough: (process, write) => cacheOf(process).writeThrough(key, write, { tags }),
    };
  });
  const entity = ITEMS.map((id): Row => ({
    name: `item ${id}`,
    tags: [],
    getOrLoad: (process, loader, options) => itemOf(process).getOrLoad(id, loader, options),
    get: (process) => itemOf(process).find(id),
    peek: (process) => itemOf(process).peek(id),
    writeThrough: (process, write) => itemOf(process).writeThrough(id, write),
  }));
  const aim = (name: string, target: InvalidationTarget, ...rows: number[]): Aim => ({
    name,
    rows,
    run: (process, mode) => cacheOf(process).invalidate(target, { mode }),
  });
  const aims = [
    ...PLAIN.flatMap((key, row) => [aim(key, { key }, row), aim(key, { keys: [key, "another"] }, row)]),
    aim("tag t:even", { tag: "t:even" }, 0, 1),
    aim("tag t:odd", { tag: "t:odd" }, 2, 3),
    aim("tags t:odd and u", { tags: ["t:odd", "u"], match: "all" }, 2, 3),
    aim("prefix p:a", { prefix: "p:a" }, 0, 1),
    aim("prefix p:", { prefix: "p:" }, 0, 1, 2),
    aim("pattern p:*:1", { pattern: pattern`p:*:1` }, 0, 2),
    aim("all", { all: true }, 0, 1, 2, 3, 4, 5),
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
    } satisfies Aim,
  ];
  return { rows: [...plain, ...entity], aims };
}

/** The entity of a process. One runs the version before the others': a deploy that is rolling. */
function items(cacheOf: (process: number) => Cache): (process: number) => Entity<number, Value> {
  const declared = new Map<number, Entity<number, Value>>();
  return (process) => {
    let item = declared.get(process);
    if (item === undefined) {
      const version = process === 0 ? 1 : 2;
      item = cacheOf(process)
        .entity<number, Value>({ name: "item", version, scope: "tenant", tags: () => ["own"] })
        .in("acme");
      declared.set(process, item);
    }
    return item;
  };
}
