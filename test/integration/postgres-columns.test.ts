import { beforeEach, describe, expect, it, onTestFinished } from "vitest";

import { postgresFeed, type PostgresFeed, type PostgresFeedOptions } from "../../src/postgres/feed.js";
import type { SetupProblem } from "../../src/postgres/feed/setup.js";
import { onePostgres } from "./one-postgres.js";
import { Listener, Shared, until } from "./postgres-feed-world.js";

interface ContactRow {
  id: number;
  team: number | null;
  name: string | null;
}

const database = onePostgres(4);
const contact = { name: "contact" };
/** Of each test its own: a publication and a slot are the whole database's. */
let name = "";
let numbered = 0;
const sql = (text: string) => database.pool.query(text);

beforeEach(async () => {
  name = `columns_${(numbered += 1)}`;
  await sql("DROP TABLE IF EXISTS contacts; CREATE TABLE contacts (id int PRIMARY KEY, team int UNIQUE, name text)");
});

function map(feed: PostgresFeed, columns?: readonly (keyof ContactRow)[]): void {
  feed.table<ContactRow>("contacts", { entity: contact, id: (row) => row.id, columns });
}

async function listen(
  columns?: readonly (keyof ContactRow)[],
  options: Partial<PostgresFeedOptions> = {},
  tables: (feed: PostgresFeed) => void = (feed) => map(feed, columns),
): Promise<Listener> {
  const slot = options.slot ?? name;
  const listener = new Listener(database, new Shared(), { publication: name, ...options, slot, tables });
  onTestFinished(async () => {
    await listener.open.close();
    if (options.method === "outbox") await sql(`DROP FUNCTION ${slot}() CASCADE; DROP TABLE ${slot}`);
    else
      await until(async () => {
        // The server may still be about to hear that it was left.
        await sql(
          `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND slot_name = '${slot}'`,
        );
        return (await sql(`SELECT FROM pg_replication_slots WHERE slot_name = '${slot}'`)).rowCount === 0;
      }, "the slot is dropped");
  });
  await listener.feed.ready();
  listener.take();
  return listener;
}

async function ensure(
  columns?: readonly (keyof ContactRow)[],
  options: Partial<PostgresFeedOptions> = {},
): Promise<readonly SetupProblem[]> {
  const feed = postgresFeed({ connect: database.server.url, publication: name, ...options });
  map(feed, columns);
  const problems = await feed.ensure();
  await feed.close();
  return problems.filter(({ code }) => code !== "wal-keep");
}

/** `null` where there is no list, and all that the table has and will have is published. */
async function published(): Promise<string | null> {
  const { rows } = await sql(`SELECT CASE WHEN prattrs IS NOT NULL THEN attnames::text END AS names
    FROM pg_publication_tables JOIN pg_publication USING (pubname)
    JOIN pg_publication_rel ON prpubid = pg_publication.oid WHERE pubname = '${name}'`);
  return rows[0]?.names as string | null;
}

describe("what is published of a table", () => {
  it("is all of it where nobody says what is read", async () => {
    const listener = await listen();
    expect(await published()).toBeNull();
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
  });

  it("is its identity where no column is read, and a change of any other is heard all the same", async () => {
    const listener = await listen([]);
    expect(await published()).toBe("{id}");
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    await sql("UPDATE contacts SET name = 'b'");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    await sql("DELETE FROM contacts");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
  });

  it("is its identity and what any of its mappings reads, or all when one of them does not say", async () => {
    const both = await listen(undefined, {}, (feed) => {
      map(feed, []);
      map(feed, ["name"]);
    });
    expect(await published()).toBe("{id,name}");
    map(both.feed);
    await until(async () => (await published()) === null, "all of it is published");
    await both.settle();
  });

  it("is the columns of the index that is its identity", async () => {
    await sql("ALTER TABLE contacts ALTER team SET NOT NULL, REPLICA IDENTITY USING INDEX contacts_team_key");
    expect(await ensure([])).toEqual([]);
    expect(await published()).toBe("{team}");
  });

  it("is all of it where all of it is the identity, for with a list its UPDATEs would fail", async () => {
    await sql("ALTER TABLE contacts REPLICA IDENTITY FULL");
    expect(await ensure([])).toEqual([]);
    expect(await published()).toBeNull();
    await sql("INSERT INTO contacts VALUES (1, 2, 'a'); UPDATE contacts SET name = 'b'");
  });

  it("is mended when the identity is another than it was published with", async () => {
    await ensure([]);
    await sql("INSERT INTO contacts VALUES (1, 2, 'a'); ALTER TABLE contacts REPLICA IDENTITY FULL");
    await expect(sql("UPDATE contacts SET name = 'b'")).rejects.toThrow("cannot update");
    const told = await ensure([], { setup: false });
    expect(told.map(({ level, message }) => [level, message])).toEqual([
      ["refused", expect.stringContaining("leaves out columns of the replica identity")],
    ]);
    expect(await ensure([])).toEqual([]);
    await sql("UPDATE contacts SET name = 'b'");
  });
});

describe("a column that is read and not published", () => {
  it("throws, is told of, and all of its table is invalidated", async () => {
    let thrown: unknown;
    const listener = await listen(undefined, {}, (feed) =>
      feed.table<ContactRow>("contacts", {
        entity: contact,
        columns: [],
        id: (row) => {
          try {
            return `${row.id} ${row.name}`;
          } catch (error) {
            thrown = error;
            throw error;
          }
        },
      }),
    );
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, all: true }]);
    expect(String(thrown)).toMatch(/does not have the column `name`.*`columns`/);
    expect(listener.news).toContainEqual(
      expect.objectContaining({ what: "row-incomplete", detail: expect.objectContaining({ column: "name" }) }),
    );
  });

  it("is not hidden in a copy of the row, which cannot be made", async () => {
    const listener = await listen(undefined, {}, (feed) =>
      feed.table<ContactRow>("contacts", { entity: contact, id: (row) => ({ ...row }).id ?? "none" }),
    );
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, all: true }]);
    expect(listener.heard("mapping-failed")).toBe(true);
  });
});

describe("a publication with a list that is too short", () => {
  it("is refused where columns are named, and only advised of where nobody says what is read", async () => {
    await sql(`CREATE PUBLICATION ${name} FOR TABLE contacts (id)`);
    const leavesOut = (columns: string) => `The publication ${name} leaves out ${columns} of "public"."contacts"`;
    const told = async (columns?: readonly (keyof ContactRow)[]) =>
      (await ensure(columns, { setup: false })).map(({ level, code, message }) => [level, code, message]);
    expect(await told([])).toEqual([]);
    expect(await told(["name"])).toEqual([["refused", "publication", leavesOut("name")]]);
    expect(await told()).toEqual([["advice", "publication", leavesOut("team, name")]]);
  });

  it("feeds on where nobody says what is read and it may not be mended", async () => {
    await sql(`CREATE PUBLICATION ${name} FOR TABLE contacts (id)`);
    const listener = await listen(undefined, { setup: false });
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    expect(await published()).toBe("{id}");
  });

  it("gets what is missing and keeps what it had, which another cache may want", async () => {
    await ensure(["team"]);
    expect(await published()).toBe("{id,team}");
    expect(await ensure(["name"])).toEqual([]);
    expect(await published()).toBe("{id,team,name}");
    expect(await ensure(["team"])).toEqual([]);
    expect(await ensure([])).toEqual([]);
    expect(await published()).toBe("{id,team,name}");
    await sql("ALTER TABLE contacts ADD more text");
    expect(await ensure()).toEqual([]);
    expect(await published()).toBeNull();
  });

  it.each([
    ["named", ["name"] as const, "{id,name}"],
    ["all that there are", undefined, null],
  ])("is found and mended while the feed runs: columns %s", async (_, columns, mended) => {
    const listener = await listen(columns);
    const narrow = `ALTER PUBLICATION ${name} DROP TABLE contacts; ALTER PUBLICATION ${name} ADD TABLE contacts (id)`;
    await sql(narrow);
    await until(async () => (await published()) === mended, "it is mended");
    await until(() => listener.heard("mended"), "it is told");
    await listener.settle();
    // What was not read meanwhile is made up for.
    expect(listener.take()).toContainEqual({ of: contact, all: true });
  });
});

describe("rows for a listener", () => {
  it("have the columns that it says it reads, by table", async () => {
    await sql("CREATE TABLE teams (id int PRIMARY KEY, title text)");
    const seen: unknown[] = [];
    const columnOf = (row: Readonly<Record<string, unknown>> | undefined, column: string): unknown => {
      try {
        return row?.[column];
      } catch (error) {
        return String(error);
      }
    };
    const listener = await listen(undefined, {}, (feed) => {
      const hear = async (
        changes: readonly { table: string; row: Readonly<Record<string, unknown>> | undefined }[],
      ) => {
        for (const { table, row } of changes)
          seen.push([table, columnOf(row, "id"), columnOf(row, table === "public.teams" ? "title" : "name")]);
      };
      feed.onRows(hear, ["contacts", "teams"], [], { contacts: ["name"], teams: [] });
      expect(() => feed.onRows(hear, ["teams"], [], { team: [] })).toThrow("`columns`");
    });
    await sql("INSERT INTO contacts VALUES (1, 2, 'a'); INSERT INTO teams VALUES (3, 'three')");
    await listener.settle();
    expect(seen).toEqual([
      ["public.contacts", 1, "a"],
      ["public.teams", 3, expect.stringContaining("does not have the column `title`")],
    ]);
  });
});

describe("an outbox", () => {
  const taken = async (): Promise<unknown> => (await sql(`SELECT new FROM ${name}`)).rows[0];

  it("has the identity where no column is read", async () => {
    const listener = await listen([], { method: "outbox" });
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    await listener.open.close();
    await sql("UPDATE contacts SET name = 'b'");
    expect(await taken()).toEqual({ new: { id: 1 } });
  });

  it("has more when the next to lead reads more, and all that was written meanwhile is invalidated", async () => {
    const first = await listen([], { method: "outbox" });
    await first.open.close();
    const tables = (feed: PostgresFeed): void => map(feed, ["name"]);
    const next = new Listener(database, new Shared(), { publication: name, slot: name, method: "outbox", tables });
    await next.feed.ready();
    expect(next.heard("mended")).toBe(true);
    await next.open.close();
    await sql("INSERT INTO contacts VALUES (1, 2, 'a')");
    expect(await taken()).toEqual({ new: { id: 1, name: "a" } });
  });
});
