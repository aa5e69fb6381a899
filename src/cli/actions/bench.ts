import { cpus } from "node:os";

import { createCache, memory, type Cache } from "../../index.js";
import { redis } from "../../redis/redis.js";
import { percentile, TimeHistogram } from "../../time-histogram.js";
import type { BenchFlags } from "../commands/bench.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer, milliseconds } from "../../figures.js";
import { connect } from "../reach.js";
import { secretOf } from "../secrets.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";
import { textTable } from "../text-table.js";
import { jsonText } from "../json-text.js";

/** What one case gave. */
interface Measured {
  readonly name: string;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const KEYS = 1_000;
/** Reads timed together: one hit is shorter than the clock's step. */
const BATCH = 100;
const VALUE = { id: 1, name: "Ann Lee", mail: "ann@example.com", tags: ["a", "b", "c"], size: 120 };

/** What a hit, a miss and a hit in Redis cost here. */
export function bench(flags: BenchFlags, terminal: Terminal): Promise<ExitCode> {
  return stoppable(async (stop) => {
    const results = await measureAll(flags.for, stop.signal, terminal);
    terminal.out(flags.json === true ? jsonOf(results) : tableOf(results));
    return stop.signal.aborted ? EXIT.interrupted : EXIT.ok;
  });
}

async function measureAll(time: number, stop: AbortSignal, terminal: Terminal): Promise<readonly Measured[]> {
  const url = await secretOf("REDIS_URL");
  const server = url === undefined ? undefined : await connect(url);
  const name = `tiercache-bench-${process.pid}`;
  const measure = async (label: string, batch: number, act: (at: number) => unknown): Promise<Measured> => {
    terminal.status(`measuring: ${label}`);
    return measureOne(label, time, batch, stop, act);
  };
  const local = createCache({ name, tiers: [memory()] });
  const far = server && createCache({ name, tiers: [redis(server.client)], shared: { timeout: "5s" } });
  try {
    await fill(local);
    let made = 0;
    const all = [
      await measure("hit in memory, synchronous (peek)", BATCH, (at) => local.peek(`k${at % KEYS}`)),
      await measure("hit in memory (getOrLoad)", BATCH, (at) => local.getOrLoad(`k${at % KEYS}`, () => VALUE)),
      await measure("miss and load of an immediate value", 1, () => local.getOrLoad(`new${(made += 1)}`, () => VALUE)),
    ];
    if (far === undefined) return all;
    await fill(far);
    return [
      ...all,
      await measure("hit in Redis", 1, (at) => far.getOrLoad(`k${at % KEYS}`, () => VALUE)),
      await measure("miss, load and fill of Redis", 1, () => far.getOrLoad(`new${(made += 1)}`, () => VALUE)),
      await measure("invalidation of a key, acknowledged", 1, (at) => far.delete(`k${at % KEYS}`)),
    ];
  } finally {
    terminal.status("");
    await local.close();
    await far?.close();
    if (server !== undefined) {
      await removeAll(server.command, name);
      server.close();
    }
  }
}

async function fill(cache: Cache): Promise<void> {
  await cache.setMany(
    Array.from({ length: KEYS }, (_, at) => [`k${at}`, VALUE] as const),
    { ttl: "1h" },
  );
}

async function measureOne(
  name: string,
  time: number,
  batch: number,
  stop: AbortSignal,
  act: (at: number) => unknown,
): Promise<Measured> {
  const took = new TimeHistogram();
  const until = performance.now() + time;
  let [count, spent] = [0, 0];
  for (let warm = 0; warm < batch; warm += 1) await act(warm);
  do {
    const begun = performance.now();
    for (let i = 0; i < batch; i += 1) {
      const answer = act(count + i);
      if (answer instanceof Promise) await answer;
    }
    const one = performance.now() - begun;
    took.add(one / batch);
    count += batch;
    spent += one;
    // Promises that are there already never let the event loop turn: Ctrl-C would wait.
    if (count % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  } while (!stop.aborted && performance.now() < until);
  const counts = took.counts();
  return {
    name,
    perSecond: spent === 0 ? 0 : (count / spent) * 1_000,
    p50: percentile(counts, 0.5) ?? 0,
    p99: percentile(counts, 0.99) ?? 0,
  };
}

/** What the measurements left behind in Redis. */
async function removeAll(command: (...words: readonly string[]) => Promise<unknown>, name: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = (await command("SCAN", cursor, "MATCH", `*${name}*`, "COUNT", "500")) as readonly [
      unknown,
      readonly unknown[],
    ];
    cursor = String(next);
    if (keys.length > 0) await command("UNLINK", ...keys.map(String));
  } while (cursor !== "0");
}

function tableOf(results: readonly Measured[]): string {
  const rows = results.map(({ name, perSecond, p50, p99 }) => [name, integer(perSecond), timeOf(p50), timeOf(p99)]);
  return `Node ${process.versions.node}, ${cpus()[0]?.model.trim() ?? "unknown processor"}\n\n${textTable([["", "per second", "p50", "p99"], ...rows])}`;
}

function timeOf(value: number): string {
  return value < 0.01 ? `${integer(value * 1_000_000)} ns` : milliseconds(value);
}

function jsonOf(results: readonly Measured[]): string {
  const rounded = results.map((one) => ({ ...one, perSecond: Math.round(one.perSecond) }));
  return jsonText({ node: process.versions.node, results: rounded });
}
