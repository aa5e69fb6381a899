import { MiniSimulation, type SimulationContext } from "./mini-simulation.js";
import { REGIMES, type Regime } from "./regimes.js";

/** Entries of a shadow: enough for hit ratios that differ by a point to be told apart, in some 200 kB for all. */
const SHADOW_ENTRIES = 512;
/** Sampled requests between two decisions. */
const PERIOD = 500;
/** What is left of the count after each decision: it reaches back some 12 periods. */
const KEPT = 0.92;
/** Another regime must have had this many hits more, per request and per entry: a change costs hits until the content has changed too. */
const LEAD_PER_REQUEST = 0.01;
const LEAD_PER_ENTRY = 0.05;

/**
 * Finds the regime that suits the requests: shadows of all of them run side by side on a sample, and the one that
 * hit clearly more often lately than the one in force is the next.
 *
 * Under a regime with ghosts there can be two stable states: with a window too small for what returns soon, everything
 * returns as a ghost, fills main and keeps the window small. Then the shadow may thrive while the cache does not, so
 * what the cache misses of its shadow's hits counts against its regime.
 */
export class RegimeChoice {
  readonly #simulation: MiniSimulation;
  #chosen = 0;
  /** Sampled requests since the last decision. */
  #pending = 0;
  /** What the shadow of the regime in force hit and the cache did not, less the opposite, since that regime began. */
  #deficit = 0;

  constructor(context: SimulationContext) {
    const shadows = REGIMES.map((regime) => ({ regime, scale: 1 }));
    this.#simulation = new MiniSimulation(context, shadows, SHADOW_ENTRIES);
  }

  get regime(): Regime {
    return REGIMES[this.#chosen] as Regime;
  }

  /** Hashes below it are to be told. */
  get limit(): number {
    return this.#simulation.limit;
  }

  /** Share of the keys that are in the sample. */
  get rate(): number {
    return this.#simulation.rate;
  }

  /** Requests of the cache from one decision to the next, those not counted among them, after a rest. */
  get span(): number {
    return (2 * PERIOD) / this.#simulation.rate;
  }

  /** Requests were not told for a while. */
  recover(): void {
    this.#pending = 0;
    this.#simulation.recover(PERIOD);
  }

  fit(entries: number): void {
    this.#simulation.fit(entries);
  }

  /** @param isHit whether the cache itself had it. */
  request(hash: number, weight: number, isHit: boolean): void {
    const simulation = this.#simulation;
    const isCounted = !simulation.isRecovering;
    const before = simulation.hitsOf(this.#chosen);
    simulation.request(hash, weight);
    if (!isCounted) return;
    this.#pending += 1;
    this.#deficit += simulation.hitsOf(this.#chosen) - before - Number(isHit);
  }

  /** Whether enough was seen since the last decision. */
  get isDue(): boolean {
    return this.#pending >= PERIOD;
  }

  /** @returns whether the regime is another from now on. */
  decide(entries: number): boolean {
    const simulation = this.#simulation;
    this.#pending = 0;
    const before = this.#chosen;
    const lead = LEAD_PER_REQUEST * simulation.requests + LEAD_PER_ENTRY * entries * simulation.rate;
    let most = simulation.hitsOf(before) - Math.max(0, this.#deficit) + lead;
    for (let at = 0; at < REGIMES.length; at += 1) {
      if (at === before || simulation.hitsOf(at) <= most) continue;
      most = simulation.hitsOf(at);
      this.#chosen = at;
    }
    simulation.forget(KEPT);
    this.#deficit = this.#chosen === before ? this.#deficit * KEPT : 0;
    return this.#chosen !== before;
  }
}
