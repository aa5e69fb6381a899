import type pg from "pg";
import { beforeAll, expect, it, onTestFinished } from "vitest";

import { createCache, memory, type Cache } from "../../src/index.js";
import {
  materializedViews,
  postgresFeed,
  type MaterializedViews,
  type PostgresFeed,
  type ViewEvent,
} from "../../src/postgres/index.js";
import { redis } from "../../src/redis/index.js";
import { connected, nodeRedis, oneRedis } from "./redis-clients.js";
import { onePostgres } from "./one-postgres.js";

const real = oneRedis();
const database = onePostgres(8);
let pool: pg.Pool;

beforeAll(async () => {
  pool = database.pool;
  await pool.query(`
    CREATE TABLE issues (id serial PRIMARY KEY, team int NOT NULL, points int NOT NULL);
    INSERT INTO issues (team, points) SELECT n % 5, n FROM generate_series(1, 100) n;
    CREATE MATERIALIZED VIEW totals AS SELECT team, sum(points)::int AS points FROM issues GROUP BY team;
    CREATE UNIQUE INDEX ON totals (team);
    CREATE TABLE kept AS SELECT team, sum(points)::int AS points FROM issues GROUP BY team`);
});

interface Process {
  readonly cache: Cache;
  readonly feed: PostgresFeed;
  readonly views: MaterializedViews;
  readonly events: ViewEvent[];
}

/** A process of the service, with memory, the shared tier, the feed and the views. */
async function start(): Promise<Process> {
  const client = await connected(nodeRedis(), real.server.url, onTestFinished);
  const feed = postgresFeed({ connect: database.server.url, maxStaleness: 2_000 });
  const cache = createCache({ name: "views-feed", tiers: [memory(), redis(client)], feed });
  const events: ViewEvent[] = [];
  const views = materializedViews(cache, {
    pool,
    feed,
    onEvent: (event) => events.push(event),
    views: {
      totals: { tables: ["issues"], refresh: { dirty: true, quiet: 20, atMost: 0 }, mode: "concurrent" },
      kept: {
        tables: ["issues"],
        mode: {
          key: "team",
          select: `SELECT team, sum(points)::int FROM issues WHERE $1::text[] IS NULL OR team = ANY ($1::int[]) GROUP BY team`,
          keysOf: ({ row, old }) => [row?.["team"], old?.["team"]] as (number | undefined)[],
          fixed: ["team"],
          columns: { issues: ["team"] },
        },
      },
    },
  });
  onTestFinished(async () => {
    await views.close();
    await cache.close();
  });
  await feed.ready();
  await views.ensure();
  return { cache, feed, views, events };
}

function points({ views }: Process, team: number): Promise<number> {
  return views
    .read("totals", team, async (client) => {
      const { rows } = await client.query("SELECT points FROM totals WHERE team = $1", [team]);
      return rows[0]?.["points"] as number;
    })
    .then(({ value }) => value);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("It did not come true in twenty seconds");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it("a row changed by anybody refreshes the views it is part of, and what every process has cached of them goes", async () => {
  const [a, b] = [await start(), await start()];
  await until(() => a.events.some(({ type }) => type === "refreshed"));
  const before = await points(a, 3);
  expect(await points(b, 3)).toBe(before);
  // By somebody who knows of no cache.
  await pool.query("UPDATE issues SET points = points + 1 WHERE team = 3");
  await until(async () => (await points(a, 3)) === before + 20);
  await until(async () => (await points(b, 3)) === before + 20);
});

it("only the groups of changed rows are made anew, and all of them after a TRUNCATE", async () => {
  const one = await start();
  await one.views.refresh("kept", { force: true });
  await pool.query("UPDATE issues SET points = points + 1 WHERE team IN (1, 2)");
  await one.feed.wait(await one.feed.token(), { timeout: 20_000 });
  expect(await one.views.refresh("kept")).toMatchObject({ state: "refreshed", keys: 2 });
  const { rows } = await pool.query(`SELECT count(*)::int AS wrong FROM kept k
    JOIN (SELECT team, sum(points)::int AS points FROM issues GROUP BY team) t USING (team) WHERE k.points <> t.points`);
  expect(rows).toEqual([{ wrong: 0 }]);
  expect(one.events.filter(({ type }) => type === "keys-unknown")).toEqual([]);
  const listed = await pool.query(
    "SELECT attnames::text AS names FROM pg_publication_tables WHERE tablename = 'issues'",
  );
  expect(listed.rows).toEqual([{ names: "{id,team}" }]);
  expect(await one.views.refresh("kept")).toEqual({ state: "clean" });
  await pool.query("TRUNCATE issues");
  await one.feed.wait(await one.feed.token(), { timeout: 20_000 });
  expect(await one.views.refresh("kept")).toMatchObject({ state: "refreshed", keys: undefined });
  expect((await pool.query("SELECT count(*)::int AS n FROM kept")).rows).toEqual([{ n: 0 }]);
});
