import { AsyncLocalStorage } from "node:async_hooks";

import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";
import { createCache, memory, type Cache, type CacheEvent } from "../../src/index.js";
import type { CachedQuery, QueryCacheOptions, QueryProblem } from "../../src/postgres/queries.js";
import { transactional, type TransactionalCache } from "../../src/postgres/transactional.js";
import { SharedMemory } from "../../src/testing/index.js";

export interface PersonRow {
  readonly id: number;
  readonly name: string;
}

/** What is done inside a transaction, by the adapter's own means. */
export interface OrmTransaction {
  /** The people of a team, by a query that asks to be cached. */
  read(team: number): Promise<readonly PersonRow[]>;
  rename(id: number, name: string): Promise<unknown>;
  /** Runs the body between a savepoint and its release; rolls back to it, and rejects, when the body rejects. Absent where the tool has none. */
  readonly nested?: ((body: (inner: OrmTransaction) => Promise<void>) => Promise<void>) | undefined;
}

/** One tool over one database, wrapped. */
export interface Orm {
  read(team: number, options?: CachedQuery): Promise<readonly PersonRow[]>;
  rename(id: number, name: string): Promise<unknown>;
  transaction(body: (transaction: OrmTransaction) => Promise<void>): Promise<void>;
  /** A cached query that the database refuses. */
  fail(): Promise<unknown>;
  /** The same, not wrapped: the error to compare with. */
  readonly failure: Record<string, unknown>;
  /** The driver's own error in what the tool throws. @default what it throws */
  readonly errorOf?: (thrown: unknown) => unknown;
  close(): Promise<void>;
}

export interface OrmWorld {
  readonly server: PostgresServer;
  /** A connection that nobody watches. */
  readonly admin: pg.Client;
  readonly cache: TransactionalCache;
  readonly events: CacheEvent[];
  readonly problems: QueryProblem[];
  readonly options: QueryCacheOptions;
  /** How often a text was sent to the database, by anybody. */
  sent(part: string): number;
}

export type MakeOrm = (world: OrmWorld) => Promise<Orm>;

const TABLES = `
  DROP TABLE IF EXISTS person; DROP TABLE IF EXISTS team;
  CREATE TABLE team (id int PRIMARY KEY, title text NOT NULL);
  CREATE TABLE person (
    id int PRIMARY KEY, team_id int NOT NULL REFERENCES team, tenant text NOT NULL, name text NOT NULL,
    score numeric, big bigint, born timestamptz(3), photo bytea, meta jsonb, words text[] NOT NULL DEFAULT '{}'
  );
  INSERT INTO team VALUES (1, 'one'), (2, 'two');
  INSERT INTO person (id, team_id, tenant, name, score, big, born, photo, meta, words) VALUES
    (1, 1, 'a', 'Ann', 1.50, 9007199254740993, '2020-01-02T03:04:05.678Z', '\\x00ff10', '{"deep": [1, null, {"x": "y"}]}', '{p,q}'),
    (2, 1, 'b', 'Bob', NULL, NULL, NULL, NULL, NULL, '{}'),
    (3, 2, 'a', 'Cid', NULL, NULL, NULL, NULL, NULL, '{}');
`;

/** A real PostgreSQL with two tables, filled anew before each test, and a cache on two tiers. */
export function ormWorld(): { readonly current: OrmWorld } {
  let server: PostgresServer;
  const holder: { current: OrmWorld } = { current: undefined as unknown as OrmWorld };
  let plain: Cache;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    const admin = new pg.Client({ connectionString: server.url });
    admin.on("error", () => undefined);
    await admin.connect();
    await admin.query(TABLES);
    plain = createCache({ name: "orm", tiers: [memory(), new SharedMemory().factory()] });
    const events: CacheEvent[] = [];
    plain.on("*", (event) => events.push(event));
    const problems: QueryProblem[] = [];
    const cache = transactional(plain);
    const spy = vi.spyOn(pg.Client.prototype, "query");
    const sent = (part: string): number =>
      spy.mock.calls.filter(([first]: readonly unknown[]) => {
        const text = typeof first === "string" ? first : String(Reflect.get(Object(first), "text"));
        return text.toLowerCase().includes(part.toLowerCase());
      }).length;
    const options = { cache, report: (problem: QueryProblem) => void problems.push(problem) };
    holder.current = { server, admin, cache, events, problems, options, sent };
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await holder.current.admin.end();
    await plain.close();
  });
  return holder;
}

const names = (rows: readonly PersonRow[]): string[] => rows.map((row) => row.name).sort();

class Undo extends Error {}

/** What every adapter must do; each name is a promise of docs/orm.md. */
export function describeOrm(tool: string, make: MakeOrm): void {
  describe(`${tool}: what every adapter promises`, () => {
    const world = ormWorld();
    let orm: Orm;
    beforeEach(async () => {
      orm = await make(world.current);
    });
    afterEach(() => orm.close());

    it("answers a query that asks for it from the cache, and another one from the database", async () => {
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
      await world.current.admin.query("UPDATE person SET name = 'unseen' WHERE id = 1");
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
      expect(names(await orm.read(2))).toEqual(["Cid"]);
    });

    it("drops what was read from a table when a write of it has committed", async () => {
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
      await orm.rename(1, "Anna");
      expect(names(await orm.read(1))).toEqual(["Anna", "Bob"]);
    });

    it("drops after the commit and not before", async () => {
      await orm.read(1);
      await orm.transaction(async (transaction) => {
        await transaction.rename(1, "Anna");
        // From outside: the scope of this code is in the transaction.
        expect(names(await outside(() => orm.read(1)))).toEqual(["Ann", "Bob"]);
        expect(world.current.events.some((event) => event.type === "invalidated")).toBe(false);
      });
      expect(world.current.events.filter((event) => event.type === "invalidated")).toHaveLength(1);
      expect(names(await orm.read(1))).toEqual(["Anna", "Bob"]);
    });

    it("neither stores nor serves what was read before a rollback", async () => {
      await expect(
        orm.transaction(async (transaction) => {
          await transaction.rename(1, "never");
          expect(names(await transaction.read(1))).toEqual(["Bob", "never"]);
          throw new Undo();
        }),
      ).rejects.toBeInstanceOf(Undo);
      expect(world.current.events.filter((event) => event.type === "stored")).toEqual([]);
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
    });

    it("invalidates nothing for a transaction that was rolled back", async () => {
      await orm.read(1);
      await expect(
        orm.transaction(async (transaction) => {
          await transaction.rename(1, "never");
          await world.current.cache.invalidate({ all: true });
          throw new Undo();
        }),
      ).rejects.toBeInstanceOf(Undo);
      expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
      const before = world.current.sent("from");
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
      expect(world.current.sent("from")).toBe(before);
    });

    it("shows a transaction its own writes, past a stored answer, and stores nothing of them", async () => {
      await orm.read(1);
      const stored = world.current.events.filter((event) => event.type === "stored").length;
      await orm.transaction(async (transaction) => {
        await transaction.rename(1, "mine");
        expect(names(await transaction.read(1))).toEqual(["Bob", "mine"]);
        expect(names(await transaction.read(1))).toEqual(["Bob", "mine"]);
      });
      expect(world.current.events.filter((event) => event.type === "stored")).toHaveLength(stored);
      expect(names(await orm.read(1))).toEqual(["Bob", "mine"]);
    });

    it("knows the transaction of a connection wherever it is used from", async () => {
      await orm.read(1);
      await orm.transaction(async (transaction) => {
        await outside(() => transaction.rename(1, "mine"));
        // By a worker of its own, say, that was started before: nothing but the connection tells.
        expect(names(await outside(() => transaction.read(1)))).toEqual(["Bob", "mine"]);
        expect(world.current.events.some((event) => event.type === "invalidated")).toBe(false);
      });
      expect(names(await orm.read(1))).toEqual(["Bob", "mine"]);
    });

    it("takes back what came after a savepoint that was rolled back to, and keeps the rest", async ({ skip }) => {
      const { cache, events } = world.current;
      for (const tag of ["kept", "taken-back"]) await cache.direct.set(tag, tag, { tags: [tag] });
      events.length = 0;
      const isDone = await withSavepoints(orm, async (transaction, nested) => {
        await expect(
          nested(async (inner) => {
            await inner.rename(1, "never");
            await cache.invalidate({ tag: "taken-back" });
            throw new Undo();
          }),
        ).rejects.toBeInstanceOf(Undo);
        expect(names(await transaction.read(1))).toEqual(["Ann", "Bob"]);
        await cache.invalidate({ tag: "kept" });
      });
      if (!isDone) skip("the tool has no savepoints");
      expect(await cache.getMany(["kept", "taken-back"])).toEqual([undefined, "taken-back"]);
      expect(events.filter((event) => event.type === "invalidated")).toHaveLength(1);
    });

    it("invalidates after the commit what was written inside a savepoint that was released", async ({ skip }) => {
      await orm.read(1);
      const isDone = await withSavepoints(orm, async (_, nested) => {
        await nested(async (inner) => {
          await inner.rename(1, "Anna");
        });
      });
      if (!isDone) skip("the tool has no savepoints");
      expect(names(await orm.read(1))).toEqual(["Anna", "Bob"]);
    });

    it("holds entities and invalidations of the cache inside a transaction back until it commits", async () => {
      const { cache } = world.current;
      const people = cache.entity({
        name: "person",
        load: async (id: number) => ({ id, at: Math.random() }),
      });
      const first = await people.get(1);
      await orm.transaction(async (transaction) => {
        await transaction.rename(1, "Anna");
        expect(await people.get(1)).not.toEqual(first);
        expect(await people.find(1)).toBeUndefined();
        await people.invalidate(1);
        expect(await outside(() => people.get(1))).toEqual(first);
      });
      expect(await people.get(1)).not.toEqual(first);
    });

    it("does not draw into a transaction what is done beside it", async () => {
      const { cache } = world.current;
      await cache.set("beside", 1);
      let end = (): void => undefined;
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      const running = orm.transaction(async (transaction) => {
        await transaction.rename(1, "never");
        await ended;
        throw new Undo();
      });
      await cache.invalidate({ key: "beside" });
      expect(await cache.get("beside")).toBeUndefined();
      expect(names(await orm.read(2))).toEqual(["Cid"]);
      expect(world.current.events.some((event) => event.type === "stored" && event.key.startsWith("sql"))).toBe(true);
      end();
      await expect(running).rejects.toBeInstanceOf(Undo);
    });

    it("never shares an answer between two scopes", async () => {
      expect(names(await orm.read(1, { ttl: "1m", scope: "acme" }))).toEqual(["Ann", "Bob"]);
      await world.current.admin.query("UPDATE person SET name = 'other' WHERE id = 1");
      expect(names(await orm.read(1, { ttl: "1m", scope: "globex" }))).toEqual(["Bob", "other"]);
      expect(names(await orm.read(1, { ttl: "1m", scope: "acme" }))).toEqual(["Ann", "Bob"]);
    });

    it("refuses a scope that is none", async () => {
      for (const scope of [null, "", {}]) {
        const thrown: unknown = await orm.read(1, { ttl: "1m", scope: scope as unknown as string }).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect([thrown, (thrown as Error).cause]).toContainEqual(expect.objectContaining({ code: "ERR_CACHE_KEY" }));
      }
    });

    it("sends one query for all that ask at once", async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => orm.read(1)));
      for (const answer of answers) expect(names(answer)).toEqual(["Ann", "Bob"]);
      expect(world.current.sent("person")).toBe(1);
      expect(world.current.events.filter((event) => event.type === "loaded")).toHaveLength(1);
    });

    it("gives each reader rows of its own to change", async () => {
      const [first, second] = await Promise.all([orm.read(1), orm.read(1)]);
      (first[0] as { name: string }).name = "changed";
      expect(names(second)).toEqual(["Ann", "Bob"]);
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
    });

    it("asks the database when the cache is gone, and writes", async () => {
      await orm.read(1);
      await world.current.cache.close();
      await orm.rename(1, "Anna");
      expect(names(await orm.read(1))).toEqual(["Anna", "Bob"]);
      expect(world.current.problems.map((problem) => problem.type)).toContain("cache-failed");
      await orm.transaction(async (transaction) => {
        await transaction.rename(2, "Bobby");
      });
      expect(names(await orm.read(1))).toEqual(["Anna", "Bobby"]);
      expect(world.current.problems.map((problem) => problem.type)).toContain("invalidation-failed");
    });

    it("gives the database's error to everybody who asked, and to nobody later", async () => {
      const failed = async (): Promise<unknown> => {
        const thrown: unknown = await orm.fail().then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(thrown).toMatchObject(orm.failure);
        const error = orm.errorOf === undefined ? thrown : orm.errorOf(thrown);
        expect(error).toBeInstanceOf(Error);
        return error;
      };
      const [first, ...others] = await Promise.all([failed(), failed(), failed()]);
      for (const other of others) expect(other).toBe(first);
      const again = await failed();
      expect(again).not.toBe(first);
      expect(await failed()).not.toBe(again);
      expect(world.current.events.filter((event) => event.type === "stored" || event.type === "load-failed")).toEqual(
        [],
      );
      expect(world.current.events).not.toContainEqual(expect.objectContaining({ reason: "unstorable" }));
    });

    it("survives a write that fails: nothing is invalidated", async () => {
      await orm.read(1);
      await expect(orm.rename(1, null as unknown as string)).rejects.toBeInstanceOf(Error);
      expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
    });

    it("goes on after a transaction whose commit the database refused", async () => {
      const { admin } = world.current;
      await admin.query(`
        ALTER TABLE person ADD CONSTRAINT name_once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED`);
      await orm.read(1);
      await expect(
        orm.transaction(async (transaction) => void (await transaction.rename(1, "Bob"))),
      ).rejects.toBeInstanceOf(Error);
      expect(names(await orm.read(1))).toEqual(["Ann", "Bob"]);
      await orm.rename(1, "Anna");
      expect(names(await orm.read(1))).toEqual(["Anna", "Bob"]);
    });
  });
}

async function withSavepoints(
  orm: Orm,
  body: (
    transaction: OrmTransaction,
    nested: (body: (inner: OrmTransaction) => Promise<void>) => Promise<void>,
  ) => Promise<void>,
): Promise<boolean> {
  let isDone = true;
  await orm.transaction(async (transaction) => {
    const nested = transaction.nested?.bind(transaction);
    if (nested === undefined) isDone = false;
    else await body(transaction, nested);
  });
  return isDone;
}

/** Runs a body as if nobody had begun a transaction: the context of a request of its own. */
export function outside<T>(body: () => Promise<T>): Promise<T> {
  return elsewhere(body) as Promise<T>;
}

const elsewhere = snapshot();

function snapshot(): (body: () => unknown) => unknown {
  // Taken when the module is loaded, where no transaction is.
  return AsyncLocalStorage.snapshot();
}
