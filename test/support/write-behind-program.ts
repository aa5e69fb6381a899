/*
 * A process that writes behind, for the proof in write-behind-proof.ts: what it is told to write it writes, and at the step
 * it was given it kills itself.
 */
import { Redis } from "ioredis";
import { Pool } from "pg";
import { createClient } from "redis";
import { createCache, type Journal, type JournalLog, type Sink } from "../../src/index.js";
import { lmdbJournal } from "../../src/lmdb/index.js";
import { postgresCounts } from "../../src/postgres/sink-counts.js";
import type { SinkPool } from "../../src/postgres/sink-transaction.js";
import { postgresSink } from "../../src/postgres/sink.js";
import { redisJournal, type RedisLike } from "../../src/redis/index.js";
import { countOf, rowOf, type Order, type ProofSettings } from "./write-behind-proof.js";

const settings = JSON.parse(process.argv[2] ?? "") as ProofSettings;
let countdown = settings.die.count;

/** Dies here, at once and without a word, if it is its turn. */
function step(label: string): void {
  if (label !== settings.die.at) return;
  countdown -= 1;
  if (countdown <= 0) process.kill(process.pid, "SIGKILL");
}

async function around<T>(label: string, work: () => Promise<T>): Promise<T> {
  step(`${label} before`);
  const result = work();
  // Sent, and not answered.
  step(`${label} sent`);
  const answer = await result;
  step(`${label} after`);
  return answer;
}

function mortalJournal(journal: Journal): Journal {
  return {
    kind: journal.kind,
    open(name): JournalLog {
      const log = journal.open(name);
      const mortal: JournalLog = {
        ...log,
        append: (operations, limit) => around("append", () => log.append(operations, limit)),
        seal: (request) => around("seal", () => log.seal(request)),
        settle: (settlement) => around("settle", () => log.settle(settlement)),
      };
      if (settings.variant !== "take-then-update") return mortal;
      return {
        ...mortal,
        async seal(request) {
          const batch = await mortal.seal(request);
          if (batch !== undefined) await log.settle({ ...batch, rejected: [] });
          return batch;
        },
        settle: () => around("settle", () => Promise.resolve(true)),
      };
    },
  };
}

/** @param what its steps are called after */
function mortalPool(pool: Pool, what: string): SinkPool {
  return {
    query: (text, values) => pool.query(text, values),
    async connect() {
      const client = await pool.connect();
      return {
        query: (text, values) => around(`${what} ${text.split(" ", 1)[0]}`, () => client.query(text, values)),
        release: (destroy) => client.release(destroy),
      };
    },
  };
}

let applies = 0;

/** Forgets, in its variant, what it has applied. */
function sinkOf<S extends Sink>(sink: S): S {
  if (settings.variant !== "update-then-decrement") return sink;
  return {
    ...sink,
    async apply(batch) {
      applies += 1;
      const name = `${batch.name} ${process.pid} ${applies}`;
      const outcome = await sink.apply({ ...batch, batchId: name, name, seq: 1 });
      return outcome.outcome === "unexpected" ? outcome : { ...outcome, generation: batch.generation, seq: batch.seq };
    },
  };
}

async function clientOf(): Promise<RedisLike> {
  if (settings.client === "ioredis") {
    const client = new Redis(settings.redisUrl, { maxRetriesPerRequest: 3 });
    client.on("error", () => undefined);
    return client;
  }
  const client = createClient({ url: settings.redisUrl });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

const pool = new Pool({ connectionString: settings.postgresUrl, max: 4 });
pool.on("error", () => undefined);
// No shared tier, so no lock but this process's own: its flusher meets the other process's at every step.
const cache = createCache({ name: "proof" });
const { folder } = settings;
const journal = mortalJournal(folder === undefined ? redisJournal(await clientOf()) : lmdbJournal({ path: folder }));
const flush = {
  journal,
  flushEvery: 20,
  maxBatch: 500,
  maxPending: settings.variant === "sound" && settings.folder === undefined ? 10_000 : 1_000,
  timeout: 10_000,
  patience: 20_000,
};
const counts = cache.counter<string>("counts", {
  ...flush,
  sink: sinkOf(postgresCounts(mortalPool(pool, "counts"), { table: "counts", key: "id", count: "n" })),
});
const rows = cache.writeBehind<string, { n: number }>({
  ...flush,
  name: "rows",
  sink: sinkOf(postgresSink(mortalPool(pool, "rows"), { table: "rows", key: "id" })),
  load: () => Promise.resolve(undefined),
});

/** All of an order at once; those of one row are appended in their order all the same. */
async function write({ from, to, lane }: Order): Promise<void> {
  const writes: Promise<unknown>[] = [];
  for (let n = from; n < to; n++) {
    const opId = `op${n}`;
    const count = countOf(n);
    writes.push(
      count === undefined ? rows.put(rowOf(n, lane), { n }, { opId }) : counts.increment(count.id, count.by, { opId }),
    );
  }
  await Promise.all(writes);
}

process.on("message", (message: Order | "finish") => {
  const work = message === "finish" ? cache.close() : write(message);
  work.then(
    () => process.send?.(message === "finish" ? "finished" : { done: message.from }),
    (error: unknown) => process.send?.({ failed: message === "finish" ? -1 : message.from, error: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
