import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { tokensOf } from "./queries-sql.js";
import { statementsOf } from "./queries-statement.js";

const one = (sql: string): unknown => {
  const statements = statementsOf(sql);
  return statements.length === 1 ? statements[0] : statements;
};
const tables = (sql: string): readonly string[] => {
  const statement = statementsOf(sql)[0];
  return statement?.kind === "read" || statement?.kind === "write" ? [...statement.tables].sort() : [];
};

describe("tokensOf", () => {
  it("tells words, quoted names, literals and symbols apart", () => {
    expect(tokensOf(`SELECT "Na""me", 'it''s', $1, 4.5e3 FROM Tab_1`)).toEqual([
      { kind: "word", text: "select" },
      { kind: "name", text: 'Na"me' },
      { kind: "symbol", text: "," },
      { kind: "text", text: "it''s" },
      { kind: "symbol", text: "," },
      { kind: "text", text: "$1" },
      { kind: "symbol", text: "," },
      { kind: "text", text: "4.5e3" },
      { kind: "word", text: "from" },
      { kind: "word", text: "tab_1" },
    ]);
  });

  it.each([
    ["a line comment", "-- UPDATE a\nSELECT 1"],
    ["nested comments", "/* UPDATE a /* b */ c */ SELECT 1"],
    ["dollar quotes", "SELECT $$UPDATE a$$"],
    ["tagged dollar quotes", "SELECT $x$ $$ UPDATE a $$ $x$"],
    ["escaped text", "SELECT E'it\\'s; UPDATE a'"],
    ["text with a semicolon", "SELECT 'a; UPDATE b'"],
    ["a quoted name", 'SELECT 1 AS "; UPDATE a"'],
  ])("does not look into %s", (_, sql) => {
    expect(statementsOf(sql)).toMatchObject([{ kind: "read", tables: [] }]);
  });

  it.each([
    ["text that does not end", "SELECT 'a"],
    ["a name that does not end", 'SELECT "a'],
    ["a comment that does not end", "SELECT 1 /* a"],
    ["a dollar quote that does not end", "SELECT $a$ b $$"],
    ["a name with Unicode escapes", 'UPDATE U&"\\0061" SET x = 1'],
    ["a backslash before the end of plain text", "SELECT 'a\\'; UPDATE b SET c = 'd'"],
  ])("is not sure of %s", (_, sql) => {
    expect(tokensOf(sql)).toBeUndefined();
    expect(statementsOf(sql)).toMatchObject([{ kind: "unsure" }]);
  });

  it("folds ASCII letters only, as PostgreSQL does", () => {
    expect(tables("SELECT * FROM ÄRGER")).toEqual(["Ärger"]);
  });

  it("reads any text to its end", () => {
    const texts = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 60 }),
      fc.string({ unit: fc.constantFrom(...Array.from("'\"$/*-\\;(),. aEu&1\n")) }),
    );
    fc.assert(fc.property(texts, (sql) => Array.isArray(statementsOf(sql))));
  });

  it("never looks into a literal, whatever it holds", () => {
    const texts = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...Array.from("'\"$/*-\\; ")) }),
    );
    fc.assert(
      fc.property(texts, (held) => {
        const statements = statementsOf(`INSERT INTO a VALUES ('${held.replaceAll("'", "''")}'); DELETE FROM b`);
        if (statements[0]?.kind === "unsure") return;
        expect(statements).toEqual([
          { kind: "write", tables: ["a"] },
          { kind: "write", tables: ["b"] },
        ]);
      }),
    );
  });
});

describe("statementsOf", () => {
  it.each([
    ["INSERT INTO a.b (c) SELECT * FROM d", ["b"]],
    ['insert into "A" values (1) on conflict (id) do update set x = 1', ["A"]],
    ["UPDATE ONLY a SET b = 1 FROM c", ["a"]],
    ["UPDATE a SET update = 1", ["a"]],
    ["DELETE FROM a USING b WHERE a.id = b.id", ["a"]],
    ["MERGE INTO a USING b ON true WHEN MATCHED THEN UPDATE SET c = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)", ["a"]],
    ["MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE", ["a"]],
    ['TRUNCATE a, ONLY b.c *, "D" RESTART IDENTITY', ["D", "a", "c"]],
    ["WITH x AS (DELETE FROM a RETURNING *), y AS (INSERT INTO b SELECT * FROM x) UPDATE c SET d = 1", ["a", "b", "c"]],
    ["WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x", ["a"]],
    ["COPY a.b (c) FROM STDIN", ["b"]],
    ["EXPLAIN ANALYZE UPDATE a SET b = 1", ["a"]],
    ["/* c */ UPDATE a SET b = 1", ["a"]],
  ])("knows what is written: %s", (sql, expected) => {
    expect(statementsOf(sql)[0]?.kind).toBe("write");
    expect(tables(sql)).toEqual([...expected].sort());
  });

  it.each([
    ["SELECT a, b, c FROM d", ["d"]],
    ["SELECT * FROM a, b.c x JOIN d ON x.e = d.f, g", ["a", "c", "d", "g"]],
    ["SELECT * FROM (a JOIN b USING (id)) WHERE c IN (SELECT d FROM e)", ["a", "b", "e"]],
    ["SELECT (SELECT max(a) FROM b), (SELECT 1 FROM ONLY c)", ["b", "c"]],
    ["WITH RECURSIVE x AS (SELECT * FROM a UNION ALL SELECT * FROM b, x) SELECT * FROM x ORDER BY 1", ["a", "b", "x"]],
    ["TABLE a", ["a"]],
    ["VALUES ((SELECT 1 FROM a))", ["a"]],
    ["(SELECT 1 FROM a) UNION (SELECT 2 FROM b)", ["a", "b"]],
    ["SELECT * FROM generate_series(1, 2) g, a, LATERAL (SELECT * FROM b) x", ["a", "b"]],
    ["SELECT 'x' || a.b FROM a LEFT JOIN c ON a.id = c.id AND (c.d, c.e) = (1, 2), f", ["a", "c", "f"]],
    ["SELECT count(*) FILTER (WHERE x) OVER (PARTITION BY y) FROM a WINDOW w AS (ORDER BY z)", ["a"]],
    ["SELECT * FROM a TABLESAMPLE system (10), b", ["a", "b"]],
  ])("knows at least what is read: %s", (sql, expected) => {
    expect(statementsOf(sql)[0]).toMatchObject({ kind: "read", locks: false });
    for (const table of expected) expect(tables(sql)).toContain(table);
  });

  it("takes a column called delete for a column", () => {
    expect(one("SELECT delete FROM a")).toMatchObject({ kind: "read" });
  });

  it.each(["SELECT 1 FOR UPDATE", "SELECT 1 FOR NO KEY UPDATE OF a SKIP LOCKED", "SELECT 1 FOR SHARE"])(
    "knows that it locks: %s",
    (sql) => {
      expect(one(sql)).toMatchObject({ kind: "read", locks: true });
    },
  );

  it.each([
    ["BEGIN", { kind: "begin" }],
    ["start transaction isolation level serializable", { kind: "begin" }],
    ["COMMIT", { kind: "commit", chain: false }],
    ["END WORK", { kind: "commit", chain: false }],
    ["COMMIT AND CHAIN", { kind: "commit", chain: true }],
    ["COMMIT AND NO CHAIN", { kind: "commit", chain: false }],
    ["ROLLBACK", { kind: "rollback", chain: false }],
    ["ABORT", { kind: "rollback", chain: false }],
    ["ROLLBACK AND CHAIN", { kind: "rollback", chain: true }],
    ['SAVEPOINT "A"', { kind: "savepoint", name: "A" }],
    ["savepoint A", { kind: "savepoint", name: "a" }],
    ["RELEASE SAVEPOINT a", { kind: "release", name: "a" }],
    ["RELEASE a", { kind: "release", name: "a" }],
    ["RELEASE savepoint", { kind: "release", name: "savepoint" }],
    ["ROLLBACK TO a", { kind: "rollback-to", name: "a" }],
    ["ROLLBACK WORK TO SAVEPOINT a", { kind: "rollback-to", name: "a" }],
    ["SET search_path TO a, b", { kind: "set", name: "search_path" }],
    ["SET SESSION search_path = 'a'", { kind: "set", name: "search_path" }],
    ["SET SCHEMA 'a'", { kind: "set", name: "search_path" }],
    ["SET ROLE a", { kind: "set", name: "role" }],
    ["SET SESSION AUTHORIZATION a", { kind: "set", name: "session authorization" }],
    ["SET app.tenant = 'a'", { kind: "set", name: "app.tenant" }],
    ["SET TIME ZONE 'UTC'", { kind: "set", name: "timezone" }],
    ["SET search_path FROM CURRENT", { kind: "set", name: undefined }],
    ["RESET search_path", { kind: "set", name: "search_path", value: undefined }],
    ["RESET ALL", { kind: "reset", all: "settings" }],
    ["DISCARD ALL", { kind: "reset", all: "session" }],
    ["SET LOCAL search_path = a", { kind: "other" }],
    ["SET TRANSACTION READ ONLY", { kind: "other" }],
    ["SHOW search_path", { kind: "other" }],
    ["PREPARE a AS SELECT 1", { kind: "other" }],
    ["EXPLAIN DELETE FROM a", { kind: "other" }],
    ["COPY a TO STDOUT", { kind: "other" }],
    ["COPY (SELECT 1 FROM b) TO STDOUT", { kind: "other" }],
  ])("%s", (sql, expected) => {
    expect(one(sql)).toMatchObject(expected);
  });

  it.each([
    "CALL change()",
    "DO $$ BEGIN END $$",
    "EXECUTE a",
    "ALTER TABLE a ADD b int",
    "DROP TABLE a",
    "REFRESH MATERIALIZED VIEW a",
    "SELECT 1 INTO a",
    "PREPARE TRANSACTION 'a'",
    "COMMIT PREPARED 'a'",
    "ROLLBACK PREPARED 'a'",
    "UPDATE 'a'",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
    "SELECTED",
    "+ 1",
  ])("is not sure: %s", (sql) => {
    expect(one(sql)).toMatchObject({ kind: "unsure" });
  });

  it("says of TRUNCATE … CASCADE what it knows, and that there is more", () => {
    expect(statementsOf("TRUNCATE a CASCADE")).toMatchObject([{ kind: "write", tables: ["a"] }, { kind: "unsure" }]);
  });

  it("knows set_config that outlives the transaction from one that does not", () => {
    expect(statementsOf("SELECT set_config('a.b', $1, true)")).toHaveLength(1);
    expect(statementsOf("SELECT set_config('a.b', f(1), false)")).toMatchObject([{ kind: "read" }, { kind: "set" }]);
    expect(statementsOf("SELECT set_config('a.b', $1, $2)")).toMatchObject([{ kind: "read" }, { kind: "set" }]);
  });

  it("gives each of several statements", () => {
    expect(statementsOf("BEGIN; UPDATE a SET b = ';'; ; COMMIT;").map(({ kind }) => kind)).toEqual([
      "begin",
      "write",
      "commit",
    ]);
  });

  it("makes nothing of nothing", () => {
    expect(statementsOf("")).toEqual([]);
    expect(statementsOf(" -- nothing")).toEqual([]);
  });
});
