import type pg from "pg";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";

import { createCache, type Cache } from "../../src/index.js";
import { quotedTable, tableName } from "../../src/postgres/pg.js";
import type { RowChange } from "../../src/postgres/views/view-definition.js";
import {
  materializedViews,
  type ChangedRows,
  type MaterializedViews,
  type ViewEvent,
  type ViewsOptions,
} from "../../src/postgres/views/views.js";
import { FakeClock } from "../../src/testing/index.js";
import { onePostgres } from "./one-postgres.js";

const database = onePostgres(8);
let pool: pg.Pool;

beforeAll(() => {
  pool = database.pool;
});

/** A feed that says what the test says. */
class Told implements ChangedRows {
  #listener: ((changes: readonly RowChange[], lost: boolean) => Promise<void>) | undefined;

  onRows(listener: (changes: readonly RowChange[], lost: boolean) => Promise<void>): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
    };
  }

  async tell(changes: readonly RowChange[], lost = false): Promise<void> {
    await this.#listener?.(changes, lost);
  }
}

const changed = (team: number, table = "public.issues"): RowChange => ({
  table,
  kind: "update",
  row: { team },
  old: undefined,
});

beforeEach(async () => {
  await pool.query(`
    DROP SCHEMA IF EXISTS tiercache CASCADE;
    DROP MATERIALIZED VIEW IF EXISTS totals;
    DROP TABLE IF EXISTS kept; DROP TABLE IF EXISTS issues;
    CREATE TABLE issues (id serial PRIMARY KEY, team int NOT NULL, points int NOT NULL);
    INSERT INTO issues (team, points) SELECT n % 5, n FROM generate_series(1, 100) n;
    CREATE MATERIALIZED VIEW totals AS SELECT team, sum(points)::int AS points FROM issues GROUP BY team WITH NO DATA;
    CREATE UNIQUE INDEX ON totals (team);
    CREATE TABLE kept (team int PRIMARY KEY, points int NOT NULL);`);
});

interface World {
  readonly cache: Cache;
  readonly views: MaterializedViews;
  readonly events: ViewEvent[];
  readonly told: Told;
  readonly clock: FakeClock;
}

function world(definitions: ViewsOptions["views"], options: { feed?: boolean; machine?: boolean } = {}): World {
  const cache = createCache({ name: "views" });
  const events: ViewEvent[] = [];
  const told = new Told();
  const clock = new FakeClock();
  const views = materializedViews(cache, {
    pool,
    views: definitions,
    feed: options.feed === true ? told : undefined,
    onEvent: (event) => events.push(event),
    // The database's times are the machine's: where they are waited for, so must the clock be.
    clock: options.machine === true ? undefined : clock,
    random: () => 0,
  });
  onTestFinished(async () => {
    await views.close();
    await cache.close();
  });
  return { cache, views, events, told, clock };
}

/** The points of a team, as a view or a kept table has them. */
function points(views: MaterializedViews, team: number, name = "totals"): Promise<number | undefined> {
  return views
    .read(name, team, async (client) => {
      const { rows } = await client.query(`SELECT points FROM ${quotedTable(tableName(name))} WHERE team = $1`, [team]);
      return rows[0]?.["points"] as number | undefined;
    })
    .then(({ value }) => value);
}

async function truth(team: number): Promise<number> {
  const { rows } = await pool.query("SELECT sum(points)::int AS points FROM issues WHERE team = $1", [team]);
  return (rows[0] as { points: number }).points;
}

async function until(holds: () => boolean | Promise<boolean>, advance?: () => Promise<void>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("It did not come true in ten seconds");
    await advance?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.each(["full", "concurrent"] as const)("a view refreshed %s", (mode) => {
  it("is read as of its refresh, and what the cache has of it goes with the next", async () => {
    const { views, events } = world({ totals: { mode } });
    expect((await views.refresh("totals")).state).toBe("refreshed");
    const before = await truth(1);
    expect(await points(views, 1)).toBe(before);
    await pool.query("UPDATE issues SET points = points + 1 WHERE team = 1");
    expect(await points(views, 1)).toBe(before);
    const second = await views.refresh("totals");
    expect(await points(views, 1)).toBe(before + 20);
    const read = await views.read("totals", "as-of", async () => 1);
    expect(second.state === "refreshed" && second.asOf).toEqual(read.asOf);
    expect(events.map(({ type }) => type)).toEqual(["refreshing", "refreshed", "refreshing", "refreshed"]);
    expect((await views.states()).get("public.totals")).toMatchObject({ refreshes: 2 });
  });
});

describe("a refresh", () => {
  it("is left to the process that is at it", async () => {
    const { views } = world({ totals: {} });
    await views.ensure();
    const blocker = await pool.connect();
    await blocker.query("BEGIN");
    await blocker.query("SELECT pg_advisory_xact_lock(hashtextextended('tiercache.view ' || 'public.totals', 0))");
    expect(await views.refresh("totals")).toEqual({ state: "busy" });
    await blocker.query("COMMIT");
    blocker.release();
    expect((await views.refresh("totals")).state).toBe("refreshed");
  });

  it("of a clean view is skipped, unless it is forced", async () => {
    const { views, told } = world({ totals: { tables: ["issues"] } }, { feed: true });
    expect((await views.refresh("totals")).state).toBe("refreshed");
    expect(await views.refresh("totals")).toEqual({ state: "clean" });
    expect((await views.refresh("totals", { force: true })).state).toBe("refreshed");
    const telling = told.tell([changed(1, "public.users")]);
    await telling;
    expect(await views.refresh("totals")).toEqual({ state: "clean" });
  });

  it("that waits for its lock longer than it may leaves readers alone, and is told of", async () => {
    const { views, events } = world({ totals: { lockTimeout: 50 } });
    await views.refresh("totals");
    const reader = await pool.connect();
    await reader.query("BEGIN");
    await reader.query("SELECT * FROM totals");
    await expect(views.refresh("totals")).rejects.toMatchObject({ code: "55P03" });
    expect(events.at(-1)).toMatchObject({ type: "failed", view: "public.totals" });
    await reader.query("COMMIT");
    reader.release();
    expect((await views.refresh("totals")).state).toBe("refreshed");
  });

  it("tells of itself in its own transaction: with the new data, or not at all", async () => {
    const { views } = world({ totals: {} });
    await views.ensure();
    await pool.query("SELECT pg_create_logical_replication_slot('watch_views', 'test_decoding')");
    try {
      const outcome = await views.refresh("totals");
      const broken = world({ totals: { lockTimeout: 50 } });
      const reader = await pool.connect();
      await reader.query("BEGIN");
      await reader.query("SELECT * FROM totals");
      await expect(broken.views.refresh("totals")).rejects.toThrow("lock timeout");
      await reader.query("COMMIT");
      reader.release();
      const { rows } = await pool.query("SELECT data FROM pg_logical_slot_get_changes('watch_views', null, null)");
      const messages = rows.map((row) => (row as { data: string }).data).filter((data) => data.startsWith("message:"));
      expect(messages).toHaveLength(1);
      expect(messages[0]).toContain("transactional: 1 prefix: tiercache.view");
      expect(messages[0]).toContain(outcome.state === "refreshed" ? outcome.asOf.toISOString() : "never");
    } finally {
      await pool.query("SELECT pg_drop_replication_slot('watch_views')");
    }
  });
});

describe("a table kept by dirty keys", () => {
  const kept = {
    kept: {
      tables: ["issues"],
      mode: {
        key: "team",
        select: `SELECT team, sum(points)::int FROM issues WHERE $1::text[] IS NULL OR team::text = ANY ($1) GROUP BY team`,
        keysOf: ({ row, old }: RowChange) => [row?.["team"], old?.["team"]] as number[],
        most: 3,
      },
    },
  };

  it("has only the groups made anew that changed, and all of them after doubt or when there are too many", async () => {
    const { views, told, clock } = world(kept, { feed: true });
    const tell = async (changes: readonly RowChange[], lost = false): Promise<void> => {
      const telling = told.tell(changes, lost);
      let done = false;
      telling.then(
        () => (done = true),
        () => (done = true),
      );
      await until(
        () => done,
        () => clock.advance(50),
      );
      await telling;
    };
    expect(await views.refresh("kept")).toMatchObject({ state: "refreshed", keys: undefined });
    expect(await points(views, 2, "kept")).toBe(await truth(2));
    await pool.query("UPDATE issues SET points = points + 1 WHERE team IN (2, 3)");
    await tell([changed(2)]);
    expect(await views.refresh("kept")).toMatchObject({ state: "refreshed", keys: 1 });
    expect(await points(views, 2, "kept")).toBe(await truth(2));
    expect(await points(views, 3, "kept")).toBe((await truth(3)) - 20);
    await tell([{ table: "public.issues", kind: "truncate", row: undefined, old: undefined }]);
    expect(await views.refresh("kept")).toMatchObject({ keys: undefined });
    expect(await points(views, 3, "kept")).toBe(await truth(3));
    await tell([1, 2, 3, 4].map((team) => changed(team)));
    expect(await views.refresh("kept")).toMatchObject({ keys: undefined });
    await tell([], true);
    expect(await views.refresh("kept")).toMatchObject({ keys: undefined });
    expect(await views.refresh("kept")).toEqual({ state: "clean" });
  });

  it("keeps what another process was told of, though that process is gone", async () => {
    const first = world(kept, { feed: true });
    await first.views.refresh("kept");
    await pool.query("UPDATE issues SET points = points + 1 WHERE team = 4");
    const telling = first.told.tell([changed(4)]);
    await until(
      async () => (await pool.query("SELECT 1 FROM tiercache.view_state WHERE dirty_at IS NOT NULL")).rowCount === 1,
      () => first.clock.advance(50),
    );
    await telling;
    await first.views.close();
    const second = world(kept, { feed: true });
    expect(await second.views.refresh("kept")).toMatchObject({ keys: 1 });
    expect(await points(second.views, 4, "kept")).toBe(await truth(4));
  });
});

describe("by itself", () => {
  it("a view is refreshed at its interval, by one process of two", async () => {
    const every = { totals: { refresh: { every: 100, jitter: 0 } } } as const;
    const [a, b] = [world(every, { machine: true }), world(every, { machine: true })];
    await Promise.all([a.views.ensure(), b.views.ensure()]);
    const refreshed = (): number => [...a.events, ...b.events].filter(({ type }) => type === "refreshed").length;
    await until(() => refreshed() >= 3);
    expect((await a.views.states()).get("public.totals")?.refreshes).toBeGreaterThanOrEqual(3);
  });

  it("a dirty view is refreshed when it is quiet, and a clean one never", async () => {
    const { views, told, events, clock } = world(
      { totals: { tables: ["issues"], refresh: { dirty: true, quiet: 100, atMost: 0 } } },
      { feed: true },
    );
    await views.ensure();
    const refreshed = (): number => events.filter(({ type }) => type === "refreshed").length;
    await until(
      () => refreshed() === 1,
      () => clock.advance(10),
    );
    for (let beat = 0; beat < 20; beat += 1) await clock.advance(5_000);
    expect(refreshed()).toBe(1);
    await pool.query("UPDATE issues SET points = points + 1 WHERE team = 0");
    const telling = told.tell([changed(0)]);
    await until(
      () => refreshed() === 2,
      () => clock.advance(60),
    );
    await telling;
    expect(await points(views, 0)).toBe(await truth(0));
  });

  it("one that fails is tried again", async () => {
    await pool.query("DROP MATERIALIZED VIEW totals");
    const { views, events, clock } = world({ totals: { refresh: { every: "1m", jitter: 0 } } });
    await views.ensure();
    await until(
      () => events.filter(({ type }) => type === "failed").length >= 2,
      () => clock.advance(500),
    );
    await pool.query(
      "CREATE MATERIALIZED VIEW totals AS SELECT team, sum(points)::int AS points FROM issues GROUP BY team",
    );
    await until(
      () => events.some(({ type }) => type === "refreshed"),
      () => clock.advance(5_000),
    );
    expect(await points(views, 1)).toBe(await truth(1));
  });
});

it("refuses views nobody declared, and any after it was closed", async () => {
  const { views } = world({ totals: {} });
  await expect(views.refresh("nothing")).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
  await views.close();
  await expect(views.refresh("totals")).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
});
