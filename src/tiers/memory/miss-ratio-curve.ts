import { MiniSimulation, type SimulationContext } from "./mini-simulation.js";
import type { CurvePoint } from "./policy.js";
import type { Regime } from "./regimes.js";

/** Shares of the capacity the curve is told at. */
const CAPACITIES: readonly number[] = [0.25, 0.5, 1, 2, 4];
const TODAY = CAPACITIES.indexOf(1);
/** Entries of the shadow of today's size; all five together have eight times as many. */
const SHADOW_ENTRIES = 256;
/** Share of the keys. */
const CHEAP = 1 / 32;
/** Sampled requests after which what was counted weighs this much less: it reaches back some 33 periods, 16 000 requests. */
const PERIOD = 500;
const KEPT = 0.97;

/**
 * What the cache would hit if it were smaller or larger: five shadows under the regime in force, on a sample of the
 * keys (the reference is at `MiniSimulation`), whose differences are added to what the cache itself hit.
 *
 * A sample has its share of the few most popular keys only by luck. They are hit at every size, so a difference has
 * nothing of them, if it is divided by the number of requests that the sample should have had and not by those it had
 * (the idea of SHARDS-adj: Waldspurger, Park, Garthwaite, Ahmad, "Efficient MRC Construction with SHARDS", FAST 2015).
 * So the point of today's capacity is the measured hit ratio.
 *
 * Both bounds are scaled: where it is bytes that bind, the curve is over bytes.
 */
export class MissRatioCurve {
  readonly #simulation: MiniSimulation;
  #hits = 0;
  #requests = 0;
  /** Requests there would be in the sample, had every key the same part in them. */
  #expected = 0;
  #pending = 0;

  constructor(context: SimulationContext, regime: Regime) {
    const shadows = CAPACITIES.map((scale) => ({ regime, scale }));
    this.#simulation = new MiniSimulation(context, shadows, SHADOW_ENTRIES);
  }

  /** Hashes below it are to be told. */
  get limit(): number {
    return this.#simulation.limit;
  }

  fit(entries: number): void {
    this.#simulation.fit(entries);
  }

  follow(regime: Regime): void {
    this.#simulation.follow(regime);
  }

  /** Whether so few keys are sampled that it costs next to nothing. */
  get isCheap(): boolean {
    return this.#simulation.rate <= CHEAP;
  }

  /** All requests, sampled or not; `told` of them were looked at, which those of the sample are a share of. */
  count(hits: number, requests: number, told: number): void {
    this.#expected += told * this.#simulation.rate;
    this.#hits += hits;
    this.#requests += requests;
  }

  request(hash: number, weight: number): void {
    this.#simulation.request(hash, weight);
    this.#pending += 1;
    if (this.#pending < PERIOD) return;
    this.#pending = 0;
    this.#simulation.forget(KEPT);
    this.#hits *= KEPT;
    this.#requests *= KEPT;
    this.#expected *= KEPT;
  }

  /** Empty until a request of the sample was seen. Never falls with the capacity. */
  points(): readonly CurvePoint[] {
    const simulation = this.#simulation;
    if (this.#expected === 0) return [];
    const measured = this.#hits / this.#requests;
    const ratios = CAPACITIES.map((_, at) => {
      const difference = (simulation.hitsOf(at) - simulation.hitsOf(TODAY)) / this.#expected;
      return Math.min(1, Math.max(0, measured + difference));
    });
    for (let at = TODAY + 1; at < ratios.length; at += 1)
      ratios[at] = Math.max(ratios[at] as number, ratios[at - 1] as number);
    for (let at = TODAY - 1; at >= 0; at -= 1) ratios[at] = Math.min(ratios[at] as number, ratios[at + 1] as number);
    return CAPACITIES.map((capacity, at) => ({ capacity, hitRatio: ratios[at] as number }));
  }
}
