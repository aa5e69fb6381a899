import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "pg";
import { beforeAll, describe, expect, it } from "vitest";
import { prove, type ProofOptions, type ProofReport } from "../support/write-behind-proof.js";
import { oneRedis } from "./redis-clients.js";
import { onePostgres } from "./one-postgres.js";

const redis = oneRedis();
const database = onePostgres(2);
let pool: Pool;

beforeAll(() => {
  pool = database.pool;
});

async function proven(
  options: Pick<ProofOptions, "operations" | "maxDeaths"> & Partial<ProofOptions>,
): Promise<ProofReport> {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  const report = await prove({ redisUrl: redis.server.url, postgresUrl: database.server.url, pool, seed, ...options });
  const { operations, deaths, expected, lost, doubled, wrongRows, took } = report;
  process.stdout.write(
    `write-behind, seed ${seed}${options.variant === undefined ? "" : `, ${options.variant}`}: ${operations} operations, ` +
      `${deaths} processes killed, sum ${expected}: ${lost} lost, ${doubled} doubled, ${wrongRows} rows wrong; ${Math.round(took)} ms\n`,
  );
  return report;
}

const NOTHING_WRONG = { lost: 0, doubled: 0, wrongRows: 0 };

describe("processes that are killed at any step, with Redis and PostgreSQL", () => {
  it("lose nothing and double nothing", { timeout: 240_000 }, async () => {
    const report = await proven({ operations: 100_000, maxDeaths: 8 });
    expect(report).toMatchObject(NOTHING_WRONG);
    expect(report.deaths).toBeGreaterThan(4);
  });

  it("lose nothing and double nothing when Redis comes back with an older file", { timeout: 240_000 }, async () => {
    const { admin } = redis;
    const report = await proven({
      operations: 10_000,
      maxDeaths: 2,
      disturb: {
        at: [1_000, 3_000, 6_000, 9_000],
        async run(time) {
          // Saved first, and gone back to what was saved when more has been written, and flushed.
          if (time % 2 === 0) return void (await admin.save());
          await redis.server.kill();
          await redis.server.restart();
        },
      },
    });
    expect(report).toMatchObject(NOTHING_WRONG);
  });
});

describe("processes that are killed at any step, with a journal in a file", () => {
  it("lose nothing and double nothing", { timeout: 240_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "tiercache-journal-"));
    try {
      const deaths = ["seal after", "counts COMMIT sent", "settle before", "append after"].map((at) => ({
        at,
        count: 1,
      }));
      const report = await proven({ operations: 10_000, maxDeaths: 4, deaths, folder });
      expect(report.deaths).toBeGreaterThan(0);
      expect(report).toMatchObject(NOTHING_WRONG);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("the proof", () => {
  it("finds what is lost by acknowledging before the update", { timeout: 240_000 }, async () => {
    const deaths = [{ at: "counts BEGIN before", count: 1 }];
    const report = await proven({ operations: 3_000, maxDeaths: 1, lanes: 1, variant: "take-then-update", deaths });
    expect(report.lost).toBeGreaterThan(0);
  });

  it("finds what is doubled by updating without a note of it", { timeout: 240_000 }, async () => {
    const deaths = [{ at: "counts COMMIT after", count: 1 }];
    const report = await proven({
      operations: 3_000,
      maxDeaths: 1,
      lanes: 1,
      variant: "update-then-decrement",
      deaths,
    });
    expect(report.doubled).toBeGreaterThan(0);
  });
});
