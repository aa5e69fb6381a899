import type { Clock, Timer } from "../clock.js";
import type { Recorder } from "../stats.js";
import { hashKey } from "../tiers/memory/hash-key.js";
import type { HotKeySettings } from "./hot-options.js";
import { RateSketch } from "./rate-sketch.js";

/** How often rates are looked at; milliseconds. */
const TICK = 500;
/** Samples that a key just hot leaves in a second: fewer, and chance decides; more cost the reads. */
const SAMPLES = 16;
const MOST_SKIPPED = 1_024;
/** A hot key cools below this share of the rate that makes one hot. */
const STAYS = 1 / 2;
/** Where there are more hot keys than may be, a newcomer displaces one only if it is read this many times as often. */
const INCUMBENCY = 1.5;
/** Keys watched for each that may be hot. */
const WATCHED_PER_HOT = 2;
/** Only one in so many that come while enough are watched is compared with them: a hot one comes again soon. */
const COMPARED = 16;

interface Watched {
  readonly hash: number;
  perSecond: number;
}

/** What becoming hot does. */
export interface HotEffects {
  heated(key: string): void;
  cooled(key: string): void;
  /** All that are hot, hottest first, whenever that may have changed. */
  ranked(keys: readonly string[]): void;
}

/**
 * The keys that this process reads most: those above a rate, and of these the first few.
 *
 * For implementers:
 * - One read in so many is looked at (at distances drawn by chance, or a reader in step with them would be seen always or
 *   never). Reads that memory answers are sampled where the tier tells its policy of them, 64 at a time, so that a
 *   hit pays nothing for it; the others pay a decrement.
 * - A sample stands for as many reads as are passed by on average, counted in a sketch of fixed size. Keys that come
 *   to half the rate are watched by name, twice as many as may be hot; the coldest makes room.
 * - Every tick the watched ones are judged, outside any read. With e = the time since the last tick, what was counted is
 *   what this time brought plus what the last tick left over, which was scaled to one TICK's worth: so count / (e + TICK) is a
 *   rate, however late the timer is, and scaling by TICK / (e + TICK) leaves one TICK's worth again. A rate is thereby a mean
 *   with a half-life of one TICK. A key that comes up with twice the rate is hot at the first full tick, within a second.
 * - Two rates, for becoming and for staying hot, and a bonus for those in place keep keys from going in and out.
 * - The timer runs only while so much is read that something could be hot.
 */
export class HotKeys {
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #settings: HotKeySettings;
  readonly #effects: HotEffects;
  readonly #seed: number;
  /** Reads that one sample stands for. */
  readonly #weight: number;
  readonly #watched = new Map<string, Watched>();
  /** Hottest first. */
  #hot: ReadonlyMap<string, Watched> = new Map();
  #sketch: RateSketch | undefined;
  #chance: number;
  /** Reads to go until the next sample, of those that memory does not answer. */
  #left: number;
  /** Those that came while enough were watched. */
  #outside = 0;
  #tickedAt = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: {
    clock: Clock;
    recorder: Recorder;
    settings: HotKeySettings;
    effects: HotEffects;
    random: () => number;
  }) {
    this.#clock = parts.clock;
    this.#recorder = parts.recorder;
    this.#settings = parts.settings;
    this.#effects = parts.effects;
    this.#seed = Math.floor(parts.random() * 2 ** 32);
    this.#chance = this.#seed ^ 0x9e3779b9 || 1;
    this.#weight = Math.min(MOST_SKIPPED, Math.max(1, Math.floor(parts.settings.perSecond / SAMPLES)));
    this.#left = this.#distance();
  }

  /** A read that memory has not answered. */
  read(key: string): void {
    this.#left -= 1;
    if (this.#left <= 0) this.#left = this.sample(key);
  }

  /** One read in so many. @returns how many reads on the next is to be looked at. */
  sample(key: string): number {
    if (this.#closed) return MOST_SKIPPED;
    if (this.#timer === undefined) this.#start();
    const hash = hashKey(key, this.#seed);
    const count = (this.#sketch ??= new RateSketch()).add(hash, this.#weight);
    if (count >= this.#settings.perSecond * STAYS && !this.#watched.has(key)) this.#watch(key, hash, count);
    return this.#distance();
  }

  has(key: string): boolean {
    return this.#hot.size > 0 && this.#hot.has(key);
  }

  /** Hottest first, with their rates at the last tick. */
  list(): { readonly key: string; readonly perSecond: number }[] {
    return Array.from(this.#hot, ([key, { perSecond }]) => ({ key, perSecond: Math.round(perSecond) }));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#watched.clear();
    this.#sketch = undefined;
  }

  #start(): void {
    this.#tickedAt = this.#clock.now();
    this.#timer = this.#clock.after(TICK, () => this.#tick());
  }

  #watch(key: string, hash: number, count: number): void {
    if (this.#watched.size >= this.#settings.limit * WATCHED_PER_HOT) {
      this.#outside += 1;
      if (this.#outside % COMPARED !== 0) return;
      let coldest: string | undefined;
      let lowest = count;
      for (const [other, watched] of this.#watched) {
        const held = this.#hot.has(other) ? Number.POSITIVE_INFINITY : this.#count(watched.hash);
        if (held >= lowest) continue;
        lowest = held;
        coldest = other;
      }
      if (coldest === undefined) return;
      this.#watched.delete(coldest);
    }
    this.#watched.set(key, { hash, perSecond: 0 });
  }

  #count(hash: number): number {
    return this.#sketch?.count(hash) ?? 0;
  }

  #tick(): void {
    const sketch = this.#sketch;
    if (sketch === undefined || this.#closed) return;
    const elapsed = this.#clock.now() - this.#tickedAt;
    const seconds = (elapsed + TICK) / 1_000;
    const lowest = this.#settings.perSecond * STAYS;
    for (const [key, watched] of this.#watched) {
      watched.perSecond = this.#count(watched.hash) / seconds;
      if (watched.perSecond < lowest) this.#watched.delete(key);
    }
    const isQuiet = sketch.total / seconds < lowest;
    sketch.fade(isQuiet ? 0 : TICK / (elapsed + TICK));
    this.#timer = undefined;
    if (!isQuiet) this.#start();
    // Last: listeners are told, and may do anything.
    this.#change(this.#hottest());
  }

  #hottest(): ReadonlyMap<string, Watched> {
    const { perSecond, limit } = this.#settings;
    const score = ([key, watched]: readonly [string, Watched]): number =>
      watched.perSecond * (this.#hot.has(key) ? INCUMBENCY : 1);
    const chosen = [...this.#watched]
      .filter(([key, watched]) => watched.perSecond >= perSecond || this.#hot.has(key))
      .sort((one, other) => score(other) - score(one))
      .slice(0, limit);
    return new Map(chosen.sort(([, one], [, other]) => other.perSecond - one.perSecond));
  }

  #change(next: ReadonlyMap<string, Watched>): void {
    const before = this.#hot;
    if (before.size === 0 && next.size === 0) return;
    this.#hot = next;
    this.#effects.ranked([...next.keys()]);
    const cooled = [...before.keys()].filter((key) => !next.has(key));
    const heated = [...next].filter(([key]) => !before.has(key));
    for (const key of cooled) this.#effects.cooled(key);
    for (const [key] of heated) this.#effects.heated(key);
    for (const key of cooled) this.#recorder.emit({ type: "cooled", key });
    for (const [key, { perSecond }] of heated)
      this.#recorder.emit({ type: "hot", key, perSecond: Math.round(perSecond) });
  }

  /** From 1 to twice the weight less 1, so the weight on average (xorshift: Marsaglia, J. Statistical Software 2003). */
  #distance(): number {
    let chance = this.#chance;
    chance ^= chance << 13;
    chance ^= chance >>> 17;
    chance ^= chance << 5;
    this.#chance = chance;
    return 1 + ((chance >>> 0) % (2 * this.#weight - 1));
  }
}
