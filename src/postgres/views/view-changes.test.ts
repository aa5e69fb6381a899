import { describe, expect, it } from "vitest";

import { FakeClock } from "../../testing/index.js";
import { ViewChanges } from "./view-changes.js";
import type { ViewDatabase } from "./view-database.js";
import { resolveView, type RowChange, type ViewDefinition } from "./view-definition.js";
import type { ChangedRows } from "./views.js";

type Listener = Parameters<ChangedRows["onRows"]>[0];

/** Notes what would be written in the database; `fail` has the next write fail. */
function world(definitions: Readonly<Record<string, ViewDefinition>>) {
  const clock = new FakeClock();
  const written: string[] = [];
  const dirty: string[][] = [];
  const unknown: string[] = [];
  let columns: Parameters<ChangedRows["onRows"]>[3];
  let listener: Listener | undefined;
  let failure: Error | undefined;
  const write = async (what: string): Promise<void> => {
    if (failure !== undefined) {
      const error = failure;
      failure = undefined;
      throw error;
    }
    written.push(what);
  };
  const database: Pick<ViewDatabase, "markDirty" | "markKeys"> = {
    markDirty: (names, all) => write(`dirty ${names.join(",")}${all ? " all" : ""}`),
    markKeys: (name, keys) => write(`keys ${name} ${keys.join(",")}`),
  };
  const changes = new ViewChanges({
    views: Object.entries(definitions).map(([name, definition]) => resolveView(name, definition)),
    feed: {
      onRows: (given, _tables, _fixed, read) => {
        listener = given;
        columns = read;
        return () => {
          listener = undefined;
        };
      },
    },
    database: database as ViewDatabase,
    clock,
    ready: async () => undefined,
    onDirty: (names) => dirty.push([...names]),
    onUnknown: (view, error) => unknown.push(`${view}: ${String(error)}`),
  });
  return {
    clock,
    written,
    dirty,
    unknown,
    columns,
    changes,
    tell: (rows: readonly RowChange[], lost = false): Promise<void> => listener?.(rows, lost) ?? Promise.reject(),
    failNext: () => {
      failure = new Error("the database is away");
    },
  };
}

const row = (table: string, team: unknown): RowChange => ({ table, kind: "insert", row: { team }, old: undefined });

describe("changes of a view's tables", () => {
  it("are noted before they are acknowledged, and those that come close together once", async () => {
    const { tell, written, dirty, clock } = world({ v: { tables: ["issues"] }, w: {} });
    const first = tell([row("public.issues", 1)]);
    const second = tell([row("public.issues", 2), row("public.users", 2)]);
    expect(written).toEqual([]);
    await clock.advance(0);
    await Promise.all([first, second]);
    expect(written).toEqual(["dirty public.v,public.w"]);
    expect(dirty).toEqual([["public.v", "public.w"]]);
    let done = false;
    const third = tell([row("public.users", 3)]).then(() => (done = true));
    await clock.advance(199);
    expect(done).toBe(false);
    await clock.advance(1);
    await third;
    expect(written.slice(1)).toEqual(["dirty public.w"]);
  });

  it("of other tables are nobody's", async () => {
    const { tell, written } = world({ v: { tables: ["issues"] } });
    await tell([row("public.users", 1)]);
    expect(written).toEqual([]);
  });

  it("that cannot be noted are not acknowledged", async () => {
    const { tell, clock, failNext, written } = world({ v: {} });
    failNext();
    const told = expect(tell([row("public.issues", 1)])).rejects.toThrow("away");
    await clock.advance(0);
    await told;
    const again = tell([row("public.issues", 1)]);
    await clock.advance(200);
    await again;
    expect(written).toEqual(["dirty public.v"]);
  });

  it("are read by groups in the columns that the views name, and of tables refreshed as a whole by identity", () => {
    const keys = (columns?: Record<string, string[]>) => ({
      key: "team",
      select: "SELECT $1",
      keysOf: () => [],
      columns,
    });
    const read = (definitions: Record<string, ViewDefinition>) => world(definitions).columns;
    expect(read({ v: { tables: ["t", "crm.u"] } })).toEqual({ "public.t": [], "crm.u": [] });
    const one = { tables: ["t", "u"], mode: keys({ t: ["team"] }) };
    expect(read({ one })).toEqual({ "public.t": ["team"] });
    expect(read({ one, two: { tables: ["t"], mode: keys({ "public.t": ["points"] }) } })).toEqual({
      "public.t": ["team", "points"],
    });
    expect(read({ one, two: { tables: ["t"], mode: keys() } })).toEqual({});
    expect(read({ one, any: { mode: keys() } })).toEqual({});
    expect(() => read({ one: { tables: ["t"], mode: keys({ u: ["team"] }) } })).toThrow("of the view's `tables`");
    expect(() => read({ one: { tables: ["t"], mode: keys({ t: [""] }) } })).toThrow("a list of columns");
  });

  it("name the groups of dirty keys first, or all of them when in doubt", async () => {
    const keyed: ViewDefinition = {
      mode: {
        key: "team",
        select: "SELECT $1",
        keysOf: ({ row: values }) => {
          if (values?.["team"] === "?") throw new Error("no such team");
          return [values?.["team"] as number];
        },
      },
    };
    const { tell, written, clock, unknown } = world({ v: keyed });
    const noted = async (changes: readonly RowChange[], lost = false): Promise<string[]> => {
      written.length = 0;
      const told = tell(changes, lost);
      await clock.advance(200);
      await told;
      return [...written];
    };
    expect(await noted([row("public.t", 1), row("public.t", 2), row("public.t", 1), row("public.t", null)])).toEqual([
      "keys public.v 1,2",
      "dirty public.v",
    ]);
    expect(await noted([row("public.t", 1), row("public.t", "?")])).toEqual(["dirty public.v all"]);
    expect(unknown).toEqual(["public.v: Error: no such team"]);
    expect(await noted([{ table: "public.t", kind: "truncate", row: undefined, old: undefined }])).toEqual([
      "dirty public.v all",
    ]);
    expect(await noted([], true)).toEqual(["dirty public.v all"]);
  });
});
