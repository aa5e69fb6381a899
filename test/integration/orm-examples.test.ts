import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";

const root = new URL("../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const run = promisify(execFile);
const examples = ["pg", "kysely", "drizzle", "prisma", "typeorm"];

describe("docs/orm.md", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(`
      DROP TABLE IF EXISTS contact; DROP TABLE IF EXISTS person; DROP TABLE IF EXISTS team;
      CREATE TABLE contact (id int PRIMARY KEY, team_id int NOT NULL, name text NOT NULL);
      INSERT INTO contact VALUES (1, 1, 'Ann'), (2, 1, 'Bob');
      CREATE TABLE team (id int PRIMARY KEY, title text NOT NULL);
      INSERT INTO team VALUES (1, 'one');
      CREATE TABLE person (
        id int PRIMARY KEY, team_id int NOT NULL REFERENCES team, tenant text NOT NULL, name text NOT NULL,
        score numeric, big bigint, born timestamptz, photo bytea, meta jsonb, words text[] NOT NULL DEFAULT '{}'
      );
      INSERT INTO person (id, team_id, tenant, name) VALUES (1, 1, 'acme', 'Ann'), (2, 1, 'acme', 'Bob')`);
    await client.end();
  });

  it("shows the examples as they are run", () => {
    const blocks = [...read("docs/orm.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    expect(blocks).toEqual(examples.map((name) => read(`examples/orm/${name}.ts`)));
  });

  it.each(examples)("has an example that runs: %s", async (name) => {
    const { stdout } = await run(process.execPath, ["--import", "tsx", `examples/orm/${name}.ts`], {
      cwd: root,
      timeout: 60_000,
      env: { ...process.env, DATABASE_URL: server.url },
    });
    expect(stdout).toContain("in the team: Ann, Bob\n");
    expect(stdout).toContain("after: Anna\n");
  });
});
