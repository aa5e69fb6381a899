import type { Pool } from "pg";
import { beforeAll, expect, it } from "vitest";
import type { FlushOutcome, FlushState, SealedBatch } from "../../src/index.js";
import { postgresCounts } from "../../src/postgres/sink-counts.js";
import { MemoryJournal, MemorySource } from "../../src/testing/index.js";
import { flushBatch } from "../../src/write/operation.js";
import { Random } from "../simulation/random.js";
import { operation } from "../support/flushing.js";
import { onePostgres } from "./one-postgres.js";

const database = onePostgres(2);
let pool: Pool;

beforeAll(() => {
  pool = database.pool;
});

it("notes batches as the source in memory does, whatever a journal brings it", { timeout: 60_000 }, async () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 12; seed++) await compare(seed, seen);
  for (const outcome of ["already", "applied", "unexpected"]) expect(seen.get(outcome), outcome).toBeGreaterThan(10);
});

/** One history of one log, of each step of which both sources must say the same. */
async function compare(seed: number, seen: Map<string, number>): Promise<void> {
  const random = new Random(seed);
  await pool.query("DROP TABLE IF EXISTS counts, tiercache_flush_state, tiercache_flush_batch");
  await pool.query("CREATE TABLE counts (id text PRIMARY KEY, n bigint NOT NULL CHECK (n < 1000))");
  const real = postgresCounts(pool, { table: "counts", key: "id", count: "n" });
  await real.ensure();
  const model = new MemorySource({
    refuses: ({ key, by }) => ((model.row(key)?.count ?? 0) + by < 1_000 ? undefined : "counts_n_check"),
  });
  const journal = new MemoryJournal();
  const log = journal.journal().open("log");
  const batches: SealedBatch[] = [];
  let restore = journal.snapshot();
  const expected: FlushState[] = [];
  let ids = 0;

  const apply = async (sealed: SealedBatch, event: number, after: FlushState | undefined): Promise<FlushOutcome> => {
    const batch = flushBatch("log", sealed, `next ${event}`);
    const outcome = await model.sink().apply(batch, after);
    const same = await real.apply(batch, after);
    expect(withoutWords(same), `seed ${seed}, event ${event}`).toEqual(withoutWords(outcome));
    seen.set(outcome.outcome, (seen.get(outcome.outcome) ?? 0) + 1);
    if (outcome.outcome === "unexpected") expected.push(outcome.state);
    return outcome;
  };

  for (let event = 0; event < 60; event++) {
    switch (random.weighted([6, 8, 2, 1, 2])) {
      case 0:
        for (let n = 0; n < 4; n++) {
          ids += 1;
          const by = random.chance(0.1) ? 1_000 : 7;
          await log.append([operation(`op${ids}`, random.pick(["a", "b"]), { by })], 1_000);
        }
        break;
      case 1: {
        // A flush, which may end after each of its steps.
        const request = { batchId: `batch ${event}`, generation: `first ${event}`, most: 3, mostBytes: 1_000 };
        const sealed = await log.seal(request);
        if (sealed === undefined) break;
        batches.push(sealed);
        let outcome = await apply(sealed, event, undefined);
        if (outcome.outcome === "unexpected" && random.chance(0.3)) {
          const { state } = outcome;
          await apply(sealed, event, random.chance(0.5) ? { ...state, seq: state.seq + 1 } : { ...state, batchId: "" });
        }
        if (outcome.outcome === "unexpected" && random.chance(0.9)) outcome = await apply(sealed, event, outcome.state);
        if (outcome.outcome === "unexpected" || random.chance(0.2)) break;
        const { generation, seq } = outcome;
        await log.settle({ batchId: sealed.batchId, generation, seq, rejected: [] });
        break;
      }
      case 2: {
        // A batch that somebody has held for long, with what he was told then.
        const sealed = batches[random.below(batches.length)];
        if (sealed !== undefined) await apply(sealed, event, expected[random.below(expected.length)]);
        break;
      }
      case 3:
        restore = journal.snapshot();
        break;
      default:
        restore();
    }
    for (const key of ["a", "b"]) {
      const { count, batchId } = await real.read("log", key);
      expect({ count, batchId }, `seed ${seed}, event ${event}`).toEqual(await model.sink().read("log", key));
    }
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

/** The words of a refusal are each source's own, and so is what "never heard of" reads like. */
function withoutWords(outcome: FlushOutcome): unknown {
  if (outcome.outcome === "unexpected") {
    const { generation, seq, batchId } = outcome.state;
    return { outcome: outcome.outcome, state: { generation, seq, batchId } };
  }
  return { ...outcome, rejected: outcome.rejected.flatMap(({ opIds }) => opIds).toSorted(byText) };
}
