import { describe, expect, it } from "vitest";

import type { CacheEvent } from "../events.js";
import type { ScopeInput } from "../keys.js";
import { createCache, memory } from "../index.js";
import { deferred } from "../../test/support/deferred.js";
import { QueryCache, tableTag, type QueryProblem } from "./queries.js";
import type { Session } from "./queries-session.js";
import { transactional } from "./transactional.js";

interface World {
  readonly queries: QueryCache;
  readonly session: Session;
  readonly problems: QueryProblem[];
  /** The tables invalidated so far. */
  readonly hit: () => Promise<readonly string[]>;
}

async function world(status?: () => unknown): Promise<World> {
  const plain = createCache({ tiers: [memory()] });
  const problems: QueryProblem[] = [];
  const queries = new QueryCache({ cache: transactional(plain), report: (problem) => void problems.push(problem) });
  const tables = ["a", "b", "c"];
  const restore = (): Promise<void[]> =>
    Promise.all(tables.map((table) => plain.set(table, 1, { tags: [tableTag(table)] })));
  await restore();
  return {
    queries,
    problems,
    session: queries.session({ status }),
    hit: async () => {
      const held = await plain.getMany(tables);
      await restore();
      return tables.filter((_, at) => held[at] === undefined);
    },
  };
}

const done = async (): Promise<undefined> => undefined;
const refused = Object.assign(new Error("refused"), { severity: "ERROR", code: "23505" });
const lost = new Error("Connection terminated unexpectedly");
const failing = (error: unknown) => (): Promise<never> => Promise.reject(error);

describe("Session", () => {
  it("invalidates a write of its own at once", async () => {
    const { session, hit } = await world();
    await session.run("UPDATE a SET x = 1", done);
    expect(await hit()).toEqual(["a"]);
  });

  it("invalidates after COMMIT what was written since BEGIN", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    await session.run("DELETE FROM b", done);
    expect(await hit()).toEqual([]);
    await session.run("COMMIT", done);
    expect(await hit()).toEqual(["a", "b"]);
    expect(session.isInTransaction).toBe(false);
  });

  it("drops with ROLLBACK what was written since BEGIN", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    await session.run("ROLLBACK", done);
    expect(session.isInTransaction).toBe(false);
    await session.run("UPDATE b SET x = 1", done);
    expect(await hit()).toEqual(["b"]);
  });

  it("drops with ROLLBACK TO what was written since SAVEPOINT", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN; UPDATE a SET x = 1", done);
    await session.run("SAVEPOINT s", done);
    await session.run("UPDATE b SET x = 1", done);
    await session.run("ROLLBACK TO SAVEPOINT s", done);
    await session.run("SAVEPOINT t; UPDATE c SET x = 1; RELEASE t", done);
    await session.run("END", done);
    expect(await hit()).toEqual(["a", "c"]);
  });

  it("begins anew with COMMIT AND CHAIN and ROLLBACK AND CHAIN", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    await session.run("COMMIT AND CHAIN", done);
    expect(await hit()).toEqual(["a"]);
    await session.run("UPDATE b SET x = 1", done);
    await session.run("ROLLBACK AND CHAIN", done);
    expect(session.isInTransaction).toBe(true);
    await session.run("UPDATE c SET x = 1", done);
    expect(await hit()).toEqual([]);
    await session.run("COMMIT", done);
    expect(await hit()).toEqual(["c"]);
  });

  it("invalidates before whoever committed goes on", async () => {
    const { session, queries } = await world();
    await queries.cache.direct.set("k", 1, { tags: [tableTag("a")] });
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    await session.run("COMMIT", done);
    expect(queries.cache.direct.peek("k")).toBeUndefined();
  });

  it("is in a transaction from the moment BEGIN is sent until its end is answered", async () => {
    const { session } = await world();
    const begun = deferred<void>();
    const running = session.run("BEGIN", () => begun.promise);
    expect(session.isInTransaction).toBe(true);
    begun.resolve();
    await running;
    const ended = deferred<void>();
    const ending = session.run("COMMIT", () => ended.promise);
    expect(session.isInTransaction).toBe(true);
    ended.resolve();
    await ending;
    expect(session.isInTransaction).toBe(false);
  });

  it("stays in a transaction when the next one is begun before the last has ended", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    const ended = deferred<void>();
    const ending = session.run("COMMIT", () => ended.promise);
    const begun = deferred<void>();
    const beginning = session.run("BEGIN", () => begun.promise);
    ended.resolve();
    await ending;
    expect(await hit()).toEqual(["a"]);
    expect(session.isInTransaction).toBe(true);
    begun.resolve();
    await beginning;
    expect(session.isInTransaction).toBe(true);
    await session.run("UPDATE b SET x = 1", done);
    expect(await hit()).toEqual([]);
    await session.run("COMMIT", done);
    expect(await hit()).toEqual(["b"]);
  });

  it("is in none when BEGIN failed", async () => {
    const { session } = await world();
    await expect(session.run("BEGIN", failing(lost))).rejects.toBe(lost);
    expect(session.isInTransaction).toBe(false);
  });

  it("gives the driver's error by identity", async () => {
    const { session } = await world();
    await expect(session.run("UPDATE a SET x = 1", failing(refused))).rejects.toBe(refused);
  });

  it.each([
    ["a write the server refused", "UPDATE a SET x = 1", refused, []],
    ["a write whose answer was lost", "UPDATE a SET x = 1", lost, ["a"]],
    ["a write refused, as Prisma says it", "UPDATE a SET x = 1", { cause: { originalCode: "23505" } }, []],
    ["a write lost, as Prisma says it", "UPDATE a SET x = 1", { cause: { originalCode: "57P01" } }, ["a"]],
    ["a write the server has lost", "UPDATE a SET x = 1", { cause: { originalCode: "40003" } }, ["a"]],
  ])("knows what may have been done: %s", async (_, sql, error, expected) => {
    const { session, hit } = await world();
    await expect(session.run(sql, failing(error))).rejects.toBe(error);
    expect(await hit()).toEqual(expected);
  });

  it.each([
    ["a commit the server refused", refused, []],
    ["a commit whose answer was lost", lost, ["a"]],
    ["a commit the server died in", Object.assign(new Error("57P01"), { severity: "FATAL" }), ["a"]],
  ])("knows what may have been committed: %s", async (_, error, expected) => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    await expect(session.run("COMMIT", failing(error))).rejects.toBe(error);
    expect(await hit()).toEqual(expected);
    expect(session.isInTransaction).toBe(false);
  });

  it("takes a COMMIT that answers ROLLBACK for what it is", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    await session.run("COMMIT", done, () => ["ROLLBACK"]);
    expect(await hit()).toEqual([]);
  });

  it("drops everything of a connection that is gone", async () => {
    const { session, hit } = await world();
    await session.run("BEGIN", done);
    await session.run("UPDATE a SET x = 1", done);
    session.lost();
    expect(session.isInTransaction).toBe(false);
    await session.run("COMMIT", done);
    expect(await hit()).toEqual([]);
  });

  it("invalidates for several statements of which nobody knows how many were done", async () => {
    const { session, hit } = await world();
    await expect(session.run("UPDATE a SET x = 1; COMMIT; UPDATE b SET x = 1", failing(refused))).rejects.toBe(refused);
    expect(await hit()).toEqual(["a", "b"]);
  });

  it("believes the server about its state", async () => {
    let status = "I";
    const { session, hit } = await world(() => status);
    await session.run("BEGIN", async () => {
      status = "T";
    });
    await session.run("UPDATE a SET x = 1", done);
    // Something that was not understood has ended it.
    await session.run("SELECT 1", async () => {
      status = "I";
    });
    expect(session.isInTransaction).toBe(false);
    await session.run("SELECT 1", async () => {
      status = "E";
    });
    expect(session.isInTransaction).toBe(true);
    expect(await hit()).toEqual([]);
  });

  it("tells settings apart, and says when it cannot", async () => {
    const { session } = await world();
    expect(session.settings).toBe("");
    await session.run("SET search_path = a", done);
    await session.run("SET ROLE b", done);
    const both = session.settings;
    await session.run("SET search_path = c", done);
    expect(session.settings).not.toBe(both);
    await session.run("RESET ALL", done);
    expect(session.settings).toMatch(/^role=/);
    await session.run("DISCARD ALL", done);
    expect(session.settings).toBe("");
    await session.run("BEGIN", done);
    await session.run("SET search_path = a", done);
    await session.run("ROLLBACK", done);
    expect(session.settings).toBeUndefined();
    await session.run("DISCARD ALL", done);
    expect(session.settings).toBe("");
  });

  it("says what it was not sure of, and goes on when the listener throws", async () => {
    const { session, problems } = await world();
    await session.run("CALL change()", done);
    expect(problems).toEqual([{ type: "unrecognised", sql: "CALL change()", why: "CALL may change anything" }]);
    const throwing = new QueryCache({
      cache: createCache(),
      report: () => {
        throw new Error("the listener's");
      },
    });
    await expect(throwing.session().run("CALL change()", done)).resolves.toBeUndefined();
  });
});

describe("QueryCache.around", () => {
  const write = async (queries: QueryCache): Promise<void> => {
    await queries.cache.invalidate({ tag: tableTag("a") });
  };

  it("commits what its driver began and nobody watched", async () => {
    const { queries, hit } = await world();
    await queries.around((inside) => inside(() => write(queries)));
    expect(await hit()).toEqual(["a"]);
  });

  it("drops it when the body rejects", async () => {
    const { queries, hit } = await world();
    const undone = queries.around((inside) =>
      inside(async () => {
        await write(queries);
        throw refused;
      }),
    );
    await expect(undone).rejects.toBe(refused);
    expect(await hit()).toEqual([]);
  });

  it("invalidates when the body was done and the commit's fate is not known", async () => {
    const { queries, hit } = await world();
    const unknown = queries.around(async (inside) => {
      await inside(() => write(queries));
      throw lost;
    });
    await expect(unknown).rejects.toBe(lost);
    expect(await hit()).toEqual(["a"]);
  });

  it("leaves it to the connection that began it", async () => {
    const { queries, session, hit } = await world();
    await queries.around(async (inside) => {
      await session.run("BEGIN", done);
      await inside(() => write(queries));
      expect(await hit()).toEqual([]);
      await session.run("COMMIT", done);
      expect(await hit()).toEqual(["a"]);
    });
    expect(await hit()).toEqual([]);
  });
});

describe("QueryCache.read", () => {
  const read = (
    queries: QueryCache,
    parameters: readonly unknown[],
    answer: () => Promise<unknown>,
  ): Promise<unknown> =>
    queries.read({
      sql: "SELECT * FROM a WHERE x = $1",
      parameters,
      form: "",
      options: { ttl: "1m" },
      settings: "",
      load: answer,
      bypass: async () => "bypassed",
    });

  it("keeps parameters apart that a driver might send alike", async () => {
    const { queries } = await world();
    const values = [1, "1", 1n, true, "true", null, undefined, "", [], [1], ["1"], [[1]], [null], {}, new Date(0)];
    const all = [...values, new Date(1), Buffer.from([1]), Buffer.from([2]), 0, -0, Number.NaN, "null"];
    for (const [at, value] of all.entries()) expect(await read(queries, [value], async () => at)).toBe(at);
    expect(await read(queries, [], async () => "none")).toBe("none");
    expect(await read(queries, [1, undefined], async () => "two")).toBe("two");
    for (const [at, value] of all.entries()) expect(await read(queries, [value], async () => "again")).toBe(at);
  });

  it("keeps scopes apart that read alike, and the lack of one", async () => {
    const { queries } = await world();
    const scoped = (scope: ScopeInput | undefined, answer: string): Promise<string> =>
      queries.read({
        sql: "SELECT 1",
        parameters: [],
        form: "",
        options: { scope },
        settings: "",
        load: async () => answer,
        bypass: async () => "bypassed",
      });
    const scopes: (ScopeInput | undefined)[] = [undefined, "global", "a/b", ["a", "b"], ["a/b"], "a", "A", 1, "2", 2n];
    for (const [at, scope] of scopes.entries()) expect(await scoped(scope, String(at))).toBe(String(at));
  });

  it("asks the database when a parameter is no plain data", async () => {
    const { queries, problems } = await world();
    const point = new (class Point {
      readonly x: number = 1;
    })();
    expect(await read(queries, [point], async () => "loaded")).toBe("bypassed");
    expect(problems).toMatchObject([{ type: "not-cached", why: "a parameter is not plain data" }]);
  });

  it("waits for a query that takes longer than the cache's patience, and sends no second one", async () => {
    const plain = createCache({ tiers: [memory()], hardTimeout: 20 });
    const queries = new QueryCache({ cache: plain });
    const answer = deferred<string>();
    const waiting = read(queries, [1], () => answer.promise);
    const failed = new Promise<CacheEvent>((resolve) => plain.on("load-failed", resolve));
    await failed;
    answer.resolve("late");
    expect(await waiting).toBe("late");
  });

  it("takes a name in place of the text, with the parameters still apart", async () => {
    const { queries } = await world();
    const named = (sql: string, parameter: number, answer: string): Promise<string> =>
      queries.read({
        sql,
        parameters: [parameter],
        form: "",
        options: { key: "by-name" },
        settings: "",
        load: async () => answer,
        bypass: async () => "bypassed",
      });
    expect(await named("SELECT 1 FROM a WHERE x = $1", 1, "one")).toBe("one");
    expect(await named("SELECT 2 FROM a WHERE x = $1", 1, "two")).toBe("one");
    expect(await named("SELECT 2 FROM a WHERE x = $1", 2, "three")).toBe("three");
  });
});
