import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";
import { startRedis } from "../support/redis-server.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const IMPORTS: Readonly<Record<string, string>> = {
  tiercache: "src/index.ts",
  "tiercache/redis": "src/redis/index.ts",
  "tiercache/postgres": "src/postgres/index.ts",
};

let postgres: PostgresServer;
let redis: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  postgres = await startPostgres({ settings: { max_slot_wal_keep_size: "1GB" } });
  redis = await startRedis();
}, 120_000);
afterAll(async () => {
  await redis?.stop();
  await postgres?.stop();
});

/** The guide's examples, in their order. */
function examplesOf(guide: string): string[] {
  return [...readFileSync(join(root, "docs", guide), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map(
    ([, code]) => code ?? "",
  );
}

/** Runs a program whose parts are examples of a guide, between what the guide leaves out. */
async function run(program: string): Promise<string> {
  // Below the project, where its packages are found.
  const folder = mkdtempSync(join(root, "node_modules", ".tiercache-docs-"));
  try {
    const imports = /^import [^;]*;\n/gm;
    const hoisted = [...program.matchAll(imports)].map(([line]) => line).join("");
    const code = `${hoisted}${program.replaceAll(imports, "")}`.replaceAll(
      /from "(tiercache[^"]*)"/g,
      (_, name: string) => `from "${join(root, IMPORTS[name] ?? "")}"`,
    );
    const file = join(folder, "example.ts");
    writeFileSync(file, code);
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], {
      cwd: root,
      env: { ...process.env, DATABASE_URL: postgres.url, REDIS_URL: redis.url },
      timeout: 40_000,
    });
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the guides take for granted. */
const CLIENTS = `
import pg from "pg";
import { Redis } from "ioredis";
const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"] });
const client = new Redis(process.env["REDIS_URL"] ?? "");
`;

describe("docs/write-behind.md", () => {
  it("has examples that run, and give what they say", { timeout: 60_000 }, async () => {
    const [first, letters, versions, counters] = examplesOf("write-behind.md");
    const stdout = await run(`${CLIENTS}
      interface Contact { readonly id: number; readonly name: string; readonly city: string; readonly version?: number }
      await pool.query("CREATE TABLE contacts (id int PRIMARY KEY, name text, city text NOT NULL, version int NOT NULL)");
      await pool.query("CREATE TABLE page_views (page text PRIMARY KEY, views bigint NOT NULL)");
      ${first}
      console.log((await contacts.get(7))?.city, (await pool.query("SELECT city FROM contacts")).rows);
      await contacts.put(8, { id: 8, name: "Bob", city: null } as never);
      await contacts.flush();
      console.log((await contacts.deadLetters.list()).map(({ id }) => id));
      await contacts.deadLetters.discard((await contacts.deadLetters.list())[0]?.opId ?? "");
      ${letters}
      const contact = (await pool.query("SELECT * FROM contacts WHERE id = 7")).rows[0] as Contact & { version: number };
      ${versions}
      await contacts.flush();
      console.log(version - contact.version, (await pool.query("SELECT city FROM contacts")).rows);
      ${counters}
      await views.flush();
      console.log(await views.get("home"), (await pool.query("SELECT views FROM page_views")).rows);
      await cache.close();
      await pool.end();
      client.disconnect();
    `);
    expect(stdout.split("\n")).toEqual([
      "Paris [ { city: 'Paris' } ]",
      "[ 8 ]",
      "1 [ { city: 'Rome' } ]",
      "6 [ { views: '6' } ]",
      "",
    ]);
  });
});

describe("docs/views.md", () => {
  it("has examples that run, and give what they say", { timeout: 60_000 }, async () => {
    const [first, dirty] = examplesOf("views.md");
    const stdout = await run(`${CLIENTS}
      import { createCache, memory } from "tiercache";
      import { redis } from "tiercache/redis";
      import { postgresFeed } from "tiercache/postgres";
      await pool.query("CREATE TABLE issues (id int PRIMARY KEY, team_id int NOT NULL)");
      await pool.query("CREATE TABLE users (id int PRIMARY KEY)");
      await pool.query("INSERT INTO issues VALUES (1, 7), (2, 7)");
      const select = "SELECT team_id, count(*)::int AS count FROM issues GROUP BY team_id";
      await pool.query("CREATE MATERIALIZED VIEW team_totals AS " + select);
      await pool.query("CREATE UNIQUE INDEX ON team_totals (team_id)");
      await pool.query("CREATE MATERIALIZED VIEW monthly AS " + select);
      const feed = postgresFeed({ connect: process.env["DATABASE_URL"] ?? "", maxStaleness: "1s", slot: "guide" });
      const cache = createCache({ name: "guide", tiers: [memory(), redis(client)], feed });
      ${first}
      await feed.ready();
      console.log(value);
      await pool.query("INSERT INTO issues VALUES (3, 7)");
      await feed.wait(await feed.token());
      await views.refresh("team_totals");
      await feed.wait(await feed.token());
      const again = await views.read("team_totals", 7, async (reader) =>
        (await reader.query("SELECT * FROM team_totals WHERE team_id = 7", [])).rows[0]);
      console.log(again.value, again.asOf instanceof Date);
      await views.close();
      await cache.close();
      // The second one: the same view as an ordinary table.
      await pool.query("DROP MATERIALIZED VIEW team_totals");
      await pool.query("CREATE TABLE team_totals (team_id int, count bigint)");
      const other = createCache({ name: "guide2", tiers: [memory()] });
      const grouped = materializedViews(other, { pool, views: { ${dirty} } });
      await grouped.ensure();
      await grouped.refresh("team_totals");
      console.log((await pool.query("SELECT * FROM team_totals")).rows);
      await grouped.close();
      await other.close();
      await pool.query("SELECT pg_drop_replication_slot('guide')");
      await pool.end();
      client.disconnect();
    `);
    expect(stdout.split("\n")).toEqual([
      "{ team_id: 7, count: 2 }",
      "{ team_id: 7, count: 3 } true",
      "[ { team_id: 7, count: '3' } ]",
      "",
    ]);
  });
});
