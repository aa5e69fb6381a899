import { createCache, memory } from "../../src/index.js";
import { materializedViews } from "../../src/postgres/views/views.js";
import type { RowChange, ViewDefinition } from "../../src/postgres/views/view-definition.js";
import { once } from "../memory/once.js";
import type { CaseResult, ContenderResult } from "../report.js";
import { startSource } from "../../test/support/postgres-source.js";
import type { Setting } from "../suite.js";
import { hundredths, nextTurn, quantile } from "./source.js";

const CHANGED = 20;

/** What a refresh takes after twenty of many groups have changed, and how long a reader beside it waits. */
export async function viewModes(setting: Setting): Promise<CaseResult[]> {
  const rows = setting.quick ? 50_000 : 500_000;
  const groups = rows / 25;
  const runs = setting.quick ? 3 : 7;
  const source = await startSource({ connections: 6 });
  const cache = createCache({ name: "views", tiers: [memory()] });
  const select = "SELECT team, count(*)::int AS issues, sum(points)::int AS points FROM issues";
  const whole = `${select} GROUP BY team`;
  const dirty: ViewDefinition = {
    tables: ["issues"],
    mode: {
      key: "team",
      select: `${select} WHERE $1::text[] IS NULL OR team = ANY ($1::int[]) GROUP BY team`,
      keysOf: ({ row }) => [row?.["team"] as number],
    },
  };
  let tell: ((changes: readonly RowChange[], lost: boolean) => Promise<void>) | undefined;
  const views = materializedViews(cache, {
    pool: source.pool,
    views: {
      full_view: { tables: ["issues"], mode: "full" },
      concurrent_view: { tables: ["issues"], mode: "concurrent" },
      dirty_table: dirty,
    },
    feed: {
      onRows: (listener) => {
        tell = listener;
        return () => undefined;
      },
    },
  });
  try {
    await source.pool.query(`
      CREATE TABLE issues (id serial PRIMARY KEY, team int NOT NULL, points int NOT NULL);
      INSERT INTO issues (team, points) SELECT n % ${groups}, n % 13 FROM generate_series(1, ${rows}) n;
      CREATE INDEX ON issues (team);
      ANALYZE issues;
      CREATE MATERIALIZED VIEW full_view AS ${whole};
      CREATE MATERIALIZED VIEW concurrent_view AS ${whole};
      CREATE UNIQUE INDEX ON full_view (team); CREATE UNIQUE INDEX ON concurrent_view (team);
      CREATE TABLE dirty_table AS ${whole}; ALTER TABLE dirty_table ADD PRIMARY KEY (team);`);
    for (const name of ["full_view", "concurrent_view", "dirty_table"]) await views.refresh(name, { force: true });
    const contenders: ContenderResult[] = [];
    for (const [name, view] of [
      ["full", "full_view"],
      ["concurrent", "concurrent_view"],
      [`dirty keys, ${CHANGED} groups`, "dirty_table"],
    ] as const) {
      const took: number[] = [];
      const waits: number[] = [];
      for (let run = 0; run < runs; run += 1) {
        const teams = Array.from({ length: CHANGED }, (_, at) => (run * 977 + at * 131) % groups);
        await source.pool.query("UPDATE issues SET points = points + 1 WHERE team = ANY ($1)", [teams]);
        await tell?.(
          teams.map((team) => ({ table: "public.issues", kind: "update", row: { team }, old: undefined })),
          false,
        );
        const progress = { done: false };
        const started = performance.now();
        const refreshing = views.refresh(view, { force: true }).finally(() => {
          progress.done = true;
        });
        while (!progress.done) {
          const asked = performance.now();
          await source.pool.query(`SELECT * FROM ${view} WHERE team = 1`);
          waits.push(performance.now() - asked);
          await nextTurn();
        }
        await refreshing;
        took.push(performance.now() - started);
      }
      contenders.push(
        once(name, quantile(took, 0.5) * 1_000, contenders[0], {
          "median ms": hundredths(quantile(took, 0.5)),
          "longest read beside it, ms": hundredths(Math.max(...waits)),
        }),
      );
    }
    const what = `${rows / 1_000}k rows, ${groups / 1_000}k groups of which ${CHANGED} changed (wall time of the refresh)`;
    return [{ name: "views", what, baseline: "full", contenders }];
  } finally {
    await views.close();
    await cache.close();
    await source.close();
  }
}
