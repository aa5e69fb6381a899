import { sleep } from "../core/workload.js";
import type { CaseResult, ContenderResult } from "../report.js";
import type { Setting } from "../suite.js";
import { fill, rival, type Rival } from "./contend.js";
import { heapBytes } from "./heap.js";
import { once } from "./once.js";
import { CACHE, LIBRARIES, TIER, TTL, type Library } from "./stores.js";

const ENTRIES = 20_000;
/** Sets between two looks at the clock. */
const BATCH = 2_000;
const SAMPLES = 10;
/** Dead before they would be evicted; and how long it takes until all of them are gone, at the most. */
const SHORT = { ttl: 50, gone: 500 };
/** What the heap may grow by, of what it held or at least, before it is called growing. */
const SLACK = { share: 0.02, bytes: 2 ** 20 };
const MIB = 2 ** 20;

interface Sample {
  /** Since the start. */
  readonly sets: number;
  readonly heap: number;
}

/** Nothing but new keys for half a minute: what is left after a collection has to stay what it was. */
export async function churn({ quick }: Setting): Promise<CaseResult[]> {
  const milliseconds = quick ? 4_000 : 30_000;
  const contenders: ContenderResult[] = [];
  for (const [library, name, ttl] of [
    [TIER, TIER, TTL],
    [CACHE, CACHE, TTL],
    [CACHE, `${CACHE}, short-lived`, SHORT.ttl],
    ["lru-cache", "lru-cache", TTL],
  ] as const) {
    const one = await rival(name, (LIBRARIES[library] as Library).make(ENTRIES, ttl));
    contenders.push(await churned(one, milliseconds, ttl === SHORT.ttl ? SHORT.gone : 0, contenders[0]));
    await one.store.close?.();
  }
  return [
    {
      name: `churn, ${milliseconds / 1_000} s`,
      what: `setting new keys in a cache of ${ENTRIES / 1_000}k entries, keys made within the cost (bar: flat)`,
      baseline: TIER,
      contenders,
    },
  ];
}

/** @param gone milliseconds that the entries are given to leave before the heap is looked at. */
async function churned(
  one: Rival,
  milliseconds: number,
  gone: number,
  baseline: ContenderResult | undefined,
): Promise<ContenderResult> {
  const churning = new Churning(one);
  // Full, and all of the code compiled.
  while (churning.sets < ENTRIES * 3) await churning.run(milliseconds / SAMPLES);
  const samples: Sample[] = [];
  churning.micros = 0;
  const before = churning.sets;
  for (let left = SAMPLES; left > 0; left -= 1) {
    await sleep(gone);
    samples.push({ sets: churning.sets, heap: heapBytes() });
    await churning.run(milliseconds / SAMPLES);
  }
  await sleep(gone);
  const last = { sets: churning.sets, heap: heapBytes() };
  samples.push(last);
  const first = samples[0] as Sample;
  const perSet = slope(samples);
  const sets = last.sets - before;
  const isFlat = perSet * sets <= Math.max(first.heap * SLACK.share, SLACK.bytes);
  return once(one.name, churning.micros / sets, baseline, {
    "M sets": tenths(sets / 1e6),
    "first MB": tenths(first.heap / MIB),
    "last MB": tenths(last.heap / MIB),
    "KB per M sets": Math.round((perSet * 1e6) / 1_024),
    flat: isFlat ? 1 : 0,
  });
}

/** Sets keys never met before, and counts them. */
class Churning {
  sets = 0;
  /** Of CPU time. */
  micros = 0;
  readonly #one: Rival;

  constructor(one: Rival) {
    this.#one = one;
  }

  async run(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    const started = process.cpuUsage();
    while (performance.now() < end) {
      const keys = Array.from({ length: BATCH }, () => `acme:contact:${this.sets++}`);
      await fill(this.#one, keys, 1);
      // Timers have their turn.
      await new Promise(setImmediate);
    }
    const { user, system } = process.cpuUsage(started);
    this.micros += user + system;
  }
}

/** Of the line that fits best: bytes for each set. */
function slope(samples: readonly Sample[]): number {
  const meanSets = samples.reduce((sum, { sets }) => sum + sets, 0) / samples.length;
  const meanHeap = samples.reduce((sum, { heap }) => sum + heap, 0) / samples.length;
  let above = 0;
  let below = 0;
  for (const { sets, heap } of samples) {
    above += (sets - meanSets) * (heap - meanHeap);
    below += (sets - meanSets) ** 2;
  }
  return above / below;
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
