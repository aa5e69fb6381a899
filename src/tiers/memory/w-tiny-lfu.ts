import { Attention } from "./attention.js";
import { FrequencySketch } from "./frequency-sketch.js";
import { MissRatioCurve } from "./miss-ratio-curve.js";
import type { CurvePoint, EvictionPolicy, PolicyContext, PolicyStats } from "./policy.js";
import type { SimulationContext } from "./mini-simulation.js";
import { RegimeChoice } from "./regime-choice.js";
import { Segments } from "./segments.js";

/** After this many uses without a newcomer there is nobody to compare with, and only one use in so many is looked at. */
const QUIET = 1024;
const QUIET_STRIDE = 8;
/** The shadows, which learn even less from that, are told of so many of these. */
const QUIET_TOLD = 1 / 8;
/** Newcomers are counted so many at a time. */
const TOGETHER = 64;

/**
 * Adaptive W-TinyLFU: a window for newcomers, a segmented LRU behind it, and in between a door that is guarded by
 * frequency (Einziger, Friedman, Manes, "TinyLFU", ACM ToS 2017) or by what was evicted lately. How large the window is
 * and which guard stands there is one of a few regimes, found by simulating them all on a sample.
 *
 *  - `Segments` has the order and picks victims under a regime; the shadows of the simulation are made of it, too;
 *  - `RegimeChoice` has a shadow for each regime and says which one is in force;
 *  - `MissRatioCurve` has shadows of other sizes;
 *  - `Attention` lets the shadows rest once nothing changes any more.
 *
 * O(1) per call, but for heavy candidates (bounded), and, amortised, the sketch's aging.
 */
export function createWTinyLfu(context: PolicyContext): EvictionPolicy {
  return new WTinyLfu(context);
}

class WTinyLfu implements EvictionPolicy {
  readonly #context: PolicyContext;
  readonly #sketch: FrequencySketch;
  readonly #segments: Segments;
  #attention = new Attention();
  #choice: RegimeChoice;
  #curve: MissRatioCurve | undefined;
  /** Hashes below these are in the samples; the curve's is part of the choice's. */
  #limit = 0;
  #curveLimit = 0;
  /** Whether it ever was asked for a victim: before that, all regimes hit alike. */
  #full = false;
  /** Uses since the last newcomer. */
  #quiet = 0;
  /** The most entries there were. */
  #most = 0;
  /** Newcomers that have not been counted yet. */
  #misses = 0;

  constructor(context: PolicyContext) {
    const { maxEntries, maxBytes } = context;
    this.#context = context;
    this.#sketch = new FrequencySketch(Math.min(maxEntries, 1024));
    this.#choice = new RegimeChoice(this.#simulated());
    this.#curve = this.#newCurve();
    const own = {
      sketch: this.#sketch,
      weights: context.weights,
      random: () => context.random(),
    };
    this.#segments = new Segments(own, this.#choice.regime, maxEntries, maxBytes);
  }

  get stats(): PolicyStats {
    return { windowShare: this.#segments.regime.window, curve: () => this.#points() };
  }

  onAdd(slot: number, hash: number): void {
    this.#quiet = 0;
    const entries = this.#segments.size + 1;
    if (entries > this.#most) this.#fit(entries);
    this.#sketch.increment(hash);
    this.#misses += 1;
    if (this.#misses === TOGETHER) this.#countMisses();
    this.#tell(slot, hash, false);
    this.#segments.add(slot, hash);
  }

  prepare(hash: number): number {
    return this.#segments.prepare(hash);
  }

  onUse(slots: Uint32Array, count: number): void {
    this.#countMisses();
    this.#quiet += count;
    if (this.#quiet <= QUIET) this.#useEvery(slots, 0, count, 1, true);
    else {
      // By chance, or a reader in step with the stride would be seen always or never.
      const chance = this.#context.random() * QUIET_STRIDE;
      const first = Math.floor(chance);
      this.#useEvery(slots, first, count, QUIET_STRIDE, chance - first < QUIET_TOLD);
    }
  }

  onReplace(slot: number, previousWeight: number): void {
    this.#segments.reweigh(slot, previousWeight);
    this.#count(1, 1, 1);
    this.#use(slot, true);
  }

  onRemove(slot: number): void {
    this.#segments.remove(slot);
  }

  nextVictim(): number {
    this.#full = true;
    return this.#segments.nextVictim();
  }

  onSpare(slot: number): void {
    this.#segments.spare(slot);
  }

  resize(slots: number): void {
    this.#segments.resize(slots);
    if (slots !== 0) return;
    this.#full = false;
    this.#most = 0;
    this.#attention = new Attention();
    this.#choice = new RegimeChoice(this.#simulated());
    this.#curve = this.#newCurve();
    this.#segments.follow(this.#choice.regime);
  }

  #points(): readonly CurvePoint[] {
    this.#countMisses();
    return this.#curve?.points() ?? [];
  }

  #newCurve(): MissRatioCurve | undefined {
    return this.#context.curve === false ? undefined : new MissRatioCurve(this.#simulated(), this.#choice.regime);
  }

  #simulated(): SimulationContext {
    const { maxEntries, maxBytes } = this.#context;
    return { maxEntries, maxBytes, sketch: this.#sketch, random: () => this.#context.random() };
  }

  #countMisses(): void {
    const misses = this.#misses;
    if (misses === 0) return;
    this.#misses = 0;
    this.#count(0, misses, misses);
  }

  /** `told` of the requests are looked at, of which the samples are a share. */
  #count(hits: number, requests: number, told: number): void {
    const attention = this.#attention;
    this.#curve?.count(hits, requests, this.#curveLimit > 0 ? told : 0);
    if (!attention.isResting || !attention.passed(hits, requests, this.#segments.size)) return;
    this.#choice.recover();
    this.#setLimits();
  }

  #fit(entries: number): void {
    this.#most = entries;
    this.#sketch.ensureCapacity(entries);
    this.#choice.fit(entries);
    this.#curve?.fit(entries);
    this.#setLimits();
  }

  /** The curve rests only where it would cost as much. */
  #setLimits(): void {
    const { isResting } = this.#attention;
    const curve = this.#curve;
    this.#curveLimit = curve === undefined || (isResting && !curve.isCheap) ? 0 : curve.limit;
    this.#limit = isResting ? this.#curveLimit : this.#choice.limit;
  }

  /** Whether the shadows are told, too. */
  #useEvery(slots: Uint32Array, first: number, count: number, stride: number, isTold: boolean): void {
    const segments = this.#segments;
    this.#count(count, count, isTold ? count / stride : 0);
    if (count > stride) segments.prepareUses(slots, first, count, stride);
    for (let i = first; i < count; i += stride) this.#use(slots[i] as number, isTold);
  }

  #use(slot: number, isTold: boolean): void {
    const hash = this.#segments.hashOf(slot);
    this.#sketch.increment(hash);
    this.#segments.use(slot);
    if (isTold) this.#tell(slot, hash, true);
  }

  #tell(slot: number, hash: number, isHit: boolean): void {
    if (hash >= this.#limit) return;
    const weight = this.#context.weights.of(slot);
    if (hash < this.#curveLimit) this.#curve?.request(hash, weight);
    if (this.#attention.isResting) return;
    this.#choice.request(hash, weight, isHit);
    if (this.#choice.isDue && this.#full) this.#decide();
  }

  #decide(): void {
    const choice = this.#choice;
    const hasChanged = choice.decide(this.#segments.size);
    this.#attention.decided(hasChanged, choice.span, choice.rate);
    if (this.#attention.isResting) this.#setLimits();
    if (!hasChanged) return;
    this.#segments.follow(choice.regime);
    this.#curve?.follow(choice.regime);
  }
}
