import { describe, expect, it } from "vitest";

import type { FeedNews } from "../../feed/change-feed.js";
import { Mappings, resolveMapping, type TableMapping } from "../mapping.js";
import { recorded } from "./recorded.fixture.js";
import { TransactionReader, type MessageHandlers } from "./transactions.js";

interface RowA {
  id: number;
  team: string | null;
  big: string;
}
interface RowF {
  id: number;
  name: string | null;
}

const contact = { name: "contact" };
const parse = (type: number, text: string): unknown => (type === 23 ? Number(text) : text);

function reading(
  tables: { a?: TableMapping<RowA>; f?: TableMapping<RowF> },
  more: { collapseAt?: number; handlers?: MessageHandlers } = {},
): {
  read: (...names: (keyof typeof recorded)[]) => unknown;
  readBytes: (hex: string) => void;
  news: FeedNews[];
  mappings: Mappings;
} {
  const mappings = new Mappings();
  if (tables.a !== undefined) mappings.add(resolveMapping("a", tables.a));
  if (tables.f !== undefined) mappings.add(resolveMapping("f", tables.f));
  const news: FeedNews[] = [];
  const reader = new TransactionReader({
    mappings,
    handlers: more.handlers ?? new Map(),
    collapseAt: more.collapseAt ?? 100,
    parse,
    tell: (one) => news.push(one),
    onWake: () => undefined,
  });
  const read = (...names: (keyof typeof recorded)[]): unknown => {
    let ended: unknown;
    for (const name of names) ended = reader.read(Buffer.from(recorded[name], "hex"))?.outdated.targets() ?? ended;
    return ended;
  };
  const readBytes = (hex: string): void => void reader.read(Buffer.from(hex, "hex"));
  return { read, readBytes, news, mappings };
}

describe("what a transaction makes outdated", () => {
  it("is the rows it touched, each once", () => {
    const { read } = reading({ a: { entity: contact, id: (row) => row.id } });
    expect(read("begin", "relation", "insert", "insert", "update", "commit")).toEqual([
      { of: contact, scope: undefined, ids: [2, 1] },
    ]);
  });

  it("is a row under its old id and its new one", () => {
    const { read } = reading({ a: { entity: contact, id: (row) => row.id } });
    expect(read("begin", "relation", "updateKey", "commit")).toEqual([{ of: contact, scope: undefined, ids: [2, 7] }]);
  });

  it("is nothing for tables that nobody maps", () => {
    const { read } = reading({});
    expect(read("begin", "relation", "insert", "commit")).toEqual([]);
  });

  it("is in the scope its row says, with its tags from the old row and the new", () => {
    const { read } = reading({
      f: { entity: contact, id: (row) => row.id, scope: () => "acme", tags: (row) => [`name=${String(row.name)}`] },
    });
    expect(read("begin", "fullRelation", "updateFull", "commit")).toEqual([
      { of: contact, scope: "acme", ids: [1] },
      { of: contact, scope: "acme", tags: ["name=n", "name=null"] },
    ]);
  });

  it("is what `targets` makes of the change", () => {
    const { read } = reading({
      f: { targets: ({ kind, old, new: row }) => [{ tag: `${kind} ${String(old?.name)} ${String(row?.name)}` }] },
    });
    expect(read("begin", "fullRelation", "updateFull", "deleteFull", "commit")).toEqual([
      { tag: "update n null" },
      { tag: "delete null undefined" },
    ]);
  });

  it("is all of the table when it was truncated", () => {
    const { read } = reading({ a: { entity: contact, id: (row) => row.id } });
    expect(read("begin", "relation", "fullRelation", "truncate", "commit")).toEqual([{ of: contact, all: true }]);
  });

  it("is everything when it is not known of what relation a row is", () => {
    const { read, news } = reading({ a: { entity: contact, id: (row) => row.id } });
    expect(read("begin", "insert", "commit")).toEqual([{ all: true }]);
    expect(news).toEqual([{ what: "unknown-relation" }]);
  });

  it("is all of the table past so many rows, and the rest of them are not looked at", () => {
    let calls = 0;
    const id = (row: RowA): number => {
      calls += 1;
      return row.id;
    };
    const { read, news } = reading({ a: { entity: contact, id } }, { collapseAt: 2 });
    const targets = read("begin", "relation", "insert", "insert", "insert", "insert", "insert", "commit") as unknown[];
    expect(targets[0]).toEqual({ of: contact, all: true });
    expect(calls).toBe(2);
    expect(news.map(({ what }) => what)).toEqual(["collapsed"]);
  });

  it("is all of the table when a column of it came, went or changed", () => {
    const { read, readBytes } = reading({ a: { entity: contact, id: (row) => row.id } });
    read("begin", "relation", "insert", "commit");
    const renamed = recorded.relation.replace(Buffer.from("team").toString("hex"), Buffer.from("tema").toString("hex"));
    read("begin");
    readBytes(renamed);
    expect(read("insert", "commit")).toEqual([{ of: contact, all: true }]);
  });

  it("is found for a table that is mapped later", () => {
    const { read, mappings } = reading({});
    read("begin", "relation", "insert", "commit");
    mappings.add(resolveMapping<RowA>("a", { entity: contact, id: (row) => row.id }));
    expect(read("begin", "insert", "commit")).toEqual([{ of: contact, scope: undefined, ids: [2] }]);
  });
});

describe("a row that is not whole", () => {
  it("has no old columns but its identity: what needs another is all of the table", () => {
    const { read, news } = reading({
      a: { entity: contact, id: (row) => row.id, scope: (row) => `team-${String(row.team)}` },
    });
    expect(read("begin", "relation", "update", "commit")).toEqual([{ of: contact, all: true }]);
    expect(news).toEqual([
      { what: "row-incomplete", detail: { table: { schema: "public", table: "a" }, column: "team" } },
    ]);
  });

  it("has the columns that never change from its new version", () => {
    const { read } = reading({
      a: { entity: contact, id: (row) => row.id, scope: (row) => `team-${String(row.team)}`, fixed: ["team"] },
    });
    expect(read("begin", "relation", "update", "commit")).toEqual([{ of: contact, scope: "team-b", ids: [1] }]);
  });

  it("lacks a large value that was not touched: what needs it is all of the table", () => {
    const { read, news } = reading({
      a: { targets: ({ new: row }) => [{ tag: row?.big ?? "" }], whole: [{ tag: "lists" }] },
    });
    expect(read("begin", "relation", "update", "commit")).toEqual([{ tag: "lists" }]);
    expect(news.map(({ what }) => what)).toEqual(["row-incomplete"]);
  });

  it("lacks a column that is not published, and does not have it as undefined", () => {
    const { read, news } = reading({
      a: { entity: contact, id: (row) => `${row.id}-${(row as unknown as { gone: string }).gone}` },
    });
    expect(read("begin", "relation", "insert", "commit")).toEqual([{ of: contact, all: true }]);
    expect(news[0]?.detail).toMatchObject({ column: "gone" });
  });

  it("without a scope may be in any", () => {
    const { read } = reading({ a: { entity: contact, id: (row) => row.id, scope: (row) => row.team } });
    expect(read("begin", "relation", "insert", "commit")).toEqual([{ of: contact, all: true }]);
  });
});

describe("a mapping that throws", () => {
  it("is told of, and all of its table is outdated", () => {
    const error = new Error("a bug");
    const { read, news } = reading({
      a: {
        entity: contact,
        id: () => {
          throw error;
        },
      },
    });
    expect(read("begin", "relation", "insert", "commit")).toEqual([{ of: contact, all: true }]);
    expect(news).toEqual([{ what: "mapping-failed", detail: { table: { schema: "public", table: "a" } }, error }]);
  });

  it("makes everything outdated when its table has tags, for nobody knows which", () => {
    const { read } = reading({
      a: {
        entity: contact,
        id: (row) => row.id,
        tags: () => {
          throw new Error("a bug");
        },
      },
    });
    expect(read("begin", "relation", "insert", "commit")).toEqual([{ all: true }]);
  });

  it("leaves nothing of the row half done, and the rows before it done", () => {
    let calls = 0;
    const { read } = reading({
      a: {
        entity: contact,
        id: (row) => row.id,
        targets: () => {
          calls += 1;
          if (calls === 2) throw new Error("a bug");
          return [];
        },
        whole: [{ tag: "lists" }],
      },
    });
    expect(read("begin", "relation", "insert", "updateKey", "commit")).toEqual([
      { tag: "lists" },
      { of: contact, scope: undefined, ids: [2] },
    ]);
  });
});

describe("a message", () => {
  it("belongs to its transaction, or is for itself", () => {
    const handlers = new Map([["views", (content: string) => [{ tag: content }]]]);
    const { read } = reading({}, { handlers });
    expect(read("begin", "message", "commit")).toEqual([{ tag: "hello" }]);
    expect(read("messageAtOnce")).toEqual([{ tag: "now" }]);
  });

  it("means nothing when nobody listens to it", () => {
    expect(reading({}).read("begin", "message", "commit")).toEqual([]);
  });
});

describe("an order that no server keeps", () => {
  it("is refused", () => {
    expect(() => reading({}).read("begin", "begin")).toThrow(RangeError);
    expect(() => reading({}).read("commit")).toThrow(RangeError);
    expect(() => reading({}).read("insert")).toThrow(RangeError);
  });
});
