import type { FrequencySketch } from "./frequency-sketch.js";
import type { Regime } from "./regimes.js";
import { SampledKeys } from "./sampled-keys.js";
import { Segments } from "./segments.js";

/** Hashes have 30 bits. */
const HASHES = 2 ** 30;

export interface SimulationContext {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly sketch: FrequencySketch;
  /** Source of chance, in [0, 1). */
  random(): number;
}

export interface ShadowOptions {
  readonly regime: Regime;
  /** Its capacity, as a share of the capacity of the cache it shadows. */
  readonly scale: number;
}

/**
 * Small caches without values, each told the same sample of the requests, to learn what a cache of another size or
 * regime would hit (Waldspurger, Saemundsson, Ahmad, Park, "Cache Modeling and Optimization using Miniature
 * Simulations", USENIX ATC 2017).
 *
 * The sample is of keys, not of requests: those whose hash is below `limit`. A cache of a 2^-n-th of the size that
 * sees a 2^-n-th of the keys hits about as often as the whole. The rate is halved as the cache fills, so that the
 * cost in memory is the same for caches of any size, and the cost in time less for larger ones. Frequencies come from the
 * sketch of the shadowed cache, which has seen every request: the shadows need none, and decide by what it knows.
 */
export class MiniSimulation {
  readonly #context: SimulationContext;
  readonly #options: readonly ShadowOptions[];
  readonly #most: number;
  readonly #keys: SampledKeys;
  readonly #shadows: readonly Segments[];
  #rate = 1;
  #requests = 0;
  #uncounted = 0;
  readonly #hits: Float64Array;

  /** @param most entries of a shadow of the cache's own size. */
  constructor(context: SimulationContext, options: readonly ShadowOptions[], most: number) {
    this.#context = context;
    this.#options = options;
    this.#most = most;
    this.#keys = new SampledKeys((nodes) => {
      for (const shadow of this.#shadows) shadow.resize(nodes);
    });
    const { sketch } = context;
    const ofShadow = { sketch, weights: this.#keys.weights, random: () => context.random() };
    this.#shadows = options.map(({ regime }) => new Segments(ofShadow, regime, 1, 1));
    this.#hits = new Float64Array(options.length);
    this.#bound();
  }

  /** Requests for hashes below it are to be told. */
  get limit(): number {
    return HASHES * this.#rate;
  }

  /** Share of the keys that are in the sample. */
  get rate(): number {
    return this.#rate;
  }

  get isRecovering(): boolean {
    return this.#uncounted > 0;
  }

  /** Requests told since `forget`, or as many as are left of them. */
  get requests(): number {
    return this.#requests;
  }

  /** Of these requests, hits of a shadow. */
  hitsOf(shadow: number): number {
    return this.#hits[shadow] as number;
  }

  /** The shadows have missed requests: so many are not counted, until they hold again what they would hold. */
  recover(requests: number): void {
    this.#uncounted = requests;
  }

  /** The cache holds so many: from some on, keys are sampled more rarely. */
  fit(entries: number): void {
    if (entries * this.#rate <= this.#most) return;
    while (entries * this.#rate > this.#most) this.#rate /= 2;
    for (const node of this.#keys.heldFrom(this.limit)) this.#dismiss(node);
    this.#bound();
  }

  /** Has all shadows go on under this regime. */
  follow(regime: Regime): void {
    for (const shadow of this.#shadows) shadow.follow(regime);
  }

  /** Keeps a share of what was counted. */
  forget(kept: number): void {
    this.#requests *= kept;
    for (let shadow = 0; shadow < this.#hits.length; shadow += 1) this.#hits[shadow] = this.hitsOf(shadow) * kept;
  }

  /** A key was asked for; it weighs so much, whether it was there or has been fetched. */
  request(hash: number, weight: number): void {
    const keys = this.#keys;
    if (this.#uncounted === 0) this.#requests += 1;
    const node = keys.take(hash);
    const previous = keys.weights.of(node);
    keys.weights.set(node, weight);
    const holders = keys.holdersOf(node);
    // Held by the request as well, lest its node be used again while some shadows have not heard of it yet.
    keys.hold(node, this.#shadows.length);
    for (let at = 0; at < this.#shadows.length; at += 1) {
      if ((holders & (1 << at)) !== 0) this.#hit(at, node, weight, previous);
      else this.#miss(at, node, hash);
    }
    keys.release(node, this.#shadows.length);
    if (this.#uncounted > 0) this.#uncounted -= 1;
  }

  #hit(at: number, node: number, weight: number, previous: number): void {
    const shadow = this.#shadows[at] as Segments;
    if (this.#uncounted === 0) this.#hits[at] = this.hitsOf(at) + 1;
    if (weight !== previous) shadow.reweigh(node, previous);
    shadow.use(node);
    if (weight !== previous) this.#makeRoom(at, shadow);
  }

  #miss(at: number, node: number, hash: number): void {
    const shadow = this.#shadows[at] as Segments;
    shadow.add(node, hash);
    this.#keys.hold(node, at);
    this.#makeRoom(at, shadow);
  }

  #makeRoom(at: number, shadow: Segments): void {
    while (shadow.isOver()) {
      const victim = shadow.nextVictim();
      shadow.remove(victim);
      this.#keys.release(victim, at);
    }
  }

  #dismiss(node: number): void {
    const holders = this.#keys.holdersOf(node);
    this.#shadows.forEach((shadow, at) => {
      if ((holders & (1 << at)) === 0) return;
      shadow.remove(node);
      this.#keys.release(node, at);
    });
  }

  #bound(): void {
    const { maxEntries, maxBytes } = this.#context;
    this.#shadows.forEach((shadow, at) => {
      const share = this.#rate * (this.#options[at] as ShadowOptions).scale;
      shadow.bound(Math.max(1, Math.round(maxEntries * share)), maxBytes * share);
    });
  }
}
