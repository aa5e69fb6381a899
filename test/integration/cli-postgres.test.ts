import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Finding } from "../../src/admin/doctor/finding.js";
import { runHere } from "../cli/run-here.js";
import { startSource, type Source } from "../support/postgres-source.js";

let source: Source;

beforeAll(async () => {
  source = await startSource({ connections: 1 });
});
afterAll(() => source?.close());

async function doctor(...argv: readonly string[]): Promise<{ code: number | null; findings: readonly Finding[] }> {
  const { code, stdout } = await runHere(["doctor", "--json", ...argv], {
    REDIS_URL: "",
    DATABASE_URL: source.server.url,
  });
  const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
  return { code, findings: findings.filter(({ area }) => area === "postgres") };
}

function levels(findings: readonly Finding[]): Readonly<Record<string, string>> {
  return Object.fromEntries(findings.map(({ check, level }) => [check, level]));
}

describe("tiercache doctor, on a database", () => {
  it("says what the feed of changes lacks, each with the statement that mends it", async () => {
    const { code, findings } = await doctor();
    expect(code).toBe(6);
    expect(levels(findings)).toMatchObject({
      version: "ok",
      role: "ok",
      publication: "fail",
      "wal-keep": "warn",
      slot: "warn",
      clock: "ok",
    });
    expect(findings.find(({ check }) => check === "publication")?.fix).toMatch(/^CREATE PUBLICATION "?tiercache"? /);
  });

  it("is content once its statements were run, but for a slot that nobody reads", async () => {
    const { findings } = await doctor();
    for (const { fix, level, check } of findings)
      if (fix !== undefined && level !== "ok" && check !== "slot")
        for (const one of fix.split("; ")) await source.sql(one);
    await source.sql("CREATE TABLE contacts (id int PRIMARY KEY, name text)");
    await source.sql("ALTER PUBLICATION tiercache ADD TABLE contacts");
    await source.sql("SELECT pg_create_logical_replication_slot('tiercache_crm', 'pgoutput')");

    const after = await doctor();
    expect(levels(after.findings)).toMatchObject({
      publication: "ok",
      "wal-keep": "ok",
      slot: "warn",
      transactions: "ok",
    });
    expect(after.findings.find(({ check }) => check === "publication")?.message).toContain("1 table: public.contacts");
    expect(after.findings.find(({ check }) => check === "slot")).toMatchObject({
      message: expect.stringMatching(/^nobody reads the slot tiercache_crm, and .* of log are kept for it$/),
      fix: expect.stringContaining("SELECT pg_drop_replication_slot('tiercache_crm')"),
    });
    expect(after.code).toBe(0);
    expect((await doctor("--strict")).code).toBe(6);
  });

  it("finds a published table whose updates the log cannot name", async () => {
    await source.sql("CREATE TABLE notes (text text)");
    await source.sql("ALTER PUBLICATION tiercache ADD TABLE notes");
    const { code, findings } = await doctor();
    await source.sql("DROP TABLE notes");
    expect(code).toBe(6);
    expect(findings.find(({ check }) => check === "identity")).toMatchObject({
      level: "fail",
      message: expect.stringContaining("notes"),
    });
  });

  it("ends with 5 when the database cannot be reached", async () => {
    const { code, stdout, stderr } = await runHere(["doctor"], {
      REDIS_URL: "",
      DATABASE_URL: "postgres://me:a-password@127.0.0.1:1/none",
    });
    expect(code).toBe(5);
    expect(stdout).toContain("ECONNREFUSED");
    expect(stdout + stderr).not.toContain("a-password");
  });
});
