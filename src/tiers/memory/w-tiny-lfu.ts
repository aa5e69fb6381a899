import { FrequencySketch } from "./frequency-sketch.js";
import { HillClimber } from "./hill-climber.js";
import type { EvictionPolicy, PolicyContext, PolicyStats } from "./policy.js";
import { SlotLists } from "./slot-lists.js";

type Region = 0 | 1 | 2;
const WINDOW: Region = 0;
const PROBATION: Region = 1;
const PROTECTED: Region = 2;

const LEAST_WINDOW = 0.01;
const MOST_WINDOW = 0.8;
const PROTECTED_OF_MAIN = 0.8;
/**
 * Requests between two adaptations of the window: enough per entry for the content to turn over, and enough in all for
 * a hit ratio to mean something; a small cache needs the latter more than it needs to be quick.
 */
const PERIOD_PER_ENTRY = 3;
const PERIOD = 3000;
const MOST_PER_ENTRY = 10;
/** A refused candidate this frequent gets in by chance, once in 128 times. */
const WARM = 6;
const CHANCE = 1 / 128;
/** Victims looked at for one heavy candidate; beyond, their worth is extrapolated. */
const MOST_EXAMINED = 64;
/** After this many uses without a newcomer there is nobody to compare with, and only one use in so many is looked at. */
const QUIET = 1024;
const QUIET_STRIDE = 8;
/** Entries that one call moves between regions after the window has changed. */
const MOST_MOVED = 32;

/**
 * W-TinyLFU: an LRU window for newcomers in front of a segmented LRU whose door is guarded by frequency
 * (Einziger, Friedman, Manes, "TinyLFU", ACM ToS 2017), with the window sized by hill climbing.
 *
 *     new → window ──(oldest, when over its share)──▶ contest with the oldest of main ──▶ probation ⇄ protected
 *
 * The loser of the contest is the victim. A use moves an entry of probation to protected, whose overflow goes back
 * to probation. Capacity has two measures, entries and bytes; a region is over its share when it is over in either.
 *
 * Weights: a candidate heavier than the victim has to beat all the victims it would push out together, by the sum of
 * their frequencies ("aggregated victims": Einziger, Eytan, Friedman, Manes, "Lightweight Robust Size Aware Cache
 * Management", ACM ToS 2022), where beyond the first those seen once count nothing: they were never used again.
 *
 * A flood of keys that keeps the victim's counters high would shut everybody out; the seeded hash makes such keys
 * hard to find, and the chance given to warm losers breaks the deadlock.
 *
 * O(1) per call, but for heavy candidates (bounded) and the sketch's aging, amortised.
 */
export function createWTinyLfu(context: PolicyContext): EvictionPolicy {
  return new WTinyLfu(context);
}

class WTinyLfu implements EvictionPolicy {
  readonly #context: PolicyContext;
  readonly #sketch: FrequencySketch;
  readonly #climber = new HillClimber(LEAST_WINDOW, MOST_WINDOW);
  readonly #lists = new SlotLists(3);
  readonly #counts = new Int32Array(3);
  readonly #bytes = new Float64Array(3);
  /** Hash in the upper 30 bits, region in the lower two. */
  #marks: Int32Array = new Int32Array(0);
  #windowEntries = 0;
  #windowBytes = 0;
  #protectedEntries = 0;
  #protectedBytes = 0;
  /** The candidate that won its contest: not to be the next victim while its room is being made. */
  #winner = -1;
  /** Whether it ever was asked for a victim: before that, hit ratios only tell how it filled. */
  #full = false;
  /** Uses since the last newcomer. */
  #quiet = 0;
  #hits = 0;
  #requests = 0;

  constructor(context: PolicyContext) {
    this.#context = context;
    this.#sketch = new FrequencySketch(Math.min(context.maxEntries, 1024));
    this.#share(this.#climber.share);
  }

  get stats(): PolicyStats {
    return { windowShare: this.#climber.share };
  }

  onAdd(slot: number, hash: number): void {
    this.#winner = -1;
    this.#quiet = 0;
    this.#requests += 1;
    this.#sketch.ensureCapacity(this.#entries + 1);
    this.#sketch.increment(hash);
    this.#adapt();
    for (let moves = MOST_MOVED; moves > 0 && this.#isWindowOver(); moves -= 1) this.#spill();
    this.#marks[slot] = hash << 2;
    this.#enter(slot, WINDOW);
    // Too heavy for the window: it goes straight to the contest, instead of pushing everyone else there.
    if (this.#context.weightOf(slot) > this.#windowBytes) this.#lists.prepend(WINDOW, slot);
    else this.#lists.append(WINDOW, slot);
    if (!this.#isOver()) while (this.#isWindowOver()) this.#spill();
  }

  onUse(slots: Uint32Array, count: number): void {
    this.#hits += count;
    this.#requests += count;
    this.#quiet += count;
    const stride = this.#quiet > QUIET ? QUIET_STRIDE : 1;
    // By chance, or a reader in step with the stride would be seen always or never.
    const first = stride === 1 ? 0 : Math.floor(this.#context.random() * stride);
    for (let i = first; i < count; i += stride) this.#use(slots[i] as number);
    this.#adapt();
  }

  onReplace(slot: number, previousWeight: number): void {
    const region = this.#regionOf(slot);
    this.#bytes[region] = (this.#bytes[region] as number) + this.#context.weightOf(slot) - previousWeight;
    this.#winner = -1;
    this.#hits += 1;
    this.#requests += 1;
    this.#use(slot);
    this.#demote();
  }

  onRemove(slot: number): void {
    this.#lists.remove(slot);
    this.#leave(slot, this.#regionOf(slot));
  }

  nextVictim(): number {
    this.#full = true;
    const victim = this.#oldestOfMain();
    if (!this.#isWindowOver()) return victim === -1 ? this.#lists.first(WINDOW) : victim;
    const candidate = this.#lists.first(WINDOW);
    if (victim === -1 || !this.#admits(candidate, victim)) return candidate;
    this.#spill();
    this.#winner = candidate;
    return victim;
  }

  /** To where those are that were used again, though it was not; one too heavy for there, to the end of the others. */
  onSpare(slot: number): void {
    const isHeavy = this.#context.weightOf(slot) > this.#protectedBytes;
    if (slot === this.#winner) this.#winner = -1;
    this.#move(slot, this.#regionOf(slot), isHeavy ? PROBATION : PROTECTED);
    this.#demote();
  }

  resize(slots: number): void {
    const marks = new Int32Array(slots);
    marks.set(this.#marks.subarray(0, slots));
    this.#marks = marks;
    this.#lists.resize(slots);
  }

  get #entries(): number {
    const counts = this.#counts;
    return (counts[WINDOW] as number) + (counts[PROBATION] as number) + (counts[PROTECTED] as number);
  }

  get #excessBytes(): number {
    const bytes = this.#bytes;
    const sum = (bytes[WINDOW] as number) + (bytes[PROBATION] as number) + (bytes[PROTECTED] as number);
    return sum - this.#context.maxBytes;
  }

  #isOver(): boolean {
    return this.#entries > this.#context.maxEntries || this.#excessBytes > 0;
  }

  #isWindowOver(): boolean {
    return (
      (this.#counts[WINDOW] as number) > this.#windowEntries || (this.#bytes[WINDOW] as number) > this.#windowBytes
    );
  }

  #isProtectedOver(): boolean {
    return (
      (this.#counts[PROTECTED] as number) > this.#protectedEntries ||
      (this.#bytes[PROTECTED] as number) > this.#protectedBytes
    );
  }

  #regionOf(slot: number): Region {
    return ((this.#marks[slot] as number) & 3) as Region;
  }

  #hashOf(slot: number): number {
    return (this.#marks[slot] as number) >>> 2;
  }

  #enter(slot: number, region: Region): void {
    this.#marks[slot] = ((this.#marks[slot] as number) & ~3) | region;
    this.#counts[region] = (this.#counts[region] as number) + 1;
    this.#bytes[region] = (this.#bytes[region] as number) + this.#context.weightOf(slot);
  }

  #leave(slot: number, region: Region): void {
    this.#counts[region] = (this.#counts[region] as number) - 1;
    this.#bytes[region] = (this.#bytes[region] as number) - this.#context.weightOf(slot);
  }

  #move(slot: number, from: Region, to: Region): void {
    this.#leave(slot, from);
    this.#enter(slot, to);
    this.#lists.moveToEnd(to, slot);
  }

  /** The window's oldest goes to probation. */
  #spill(): void {
    this.#move(this.#lists.first(WINDOW), WINDOW, PROBATION);
  }

  #use(slot: number): void {
    const mark = this.#marks[slot] as number;
    this.#sketch.increment(mark >>> 2);
    const region = (mark & 3) as Region;
    if (region !== PROBATION || this.#context.weightOf(slot) > this.#protectedBytes) {
      this.#lists.moveToEnd(region, slot);
      return;
    }
    this.#move(slot, PROBATION, PROTECTED);
    this.#demote();
  }

  /** A few at a time: after the window has grown there may be a sixteenth of the entries to move. */
  #demote(): void {
    for (let moves = MOST_MOVED; moves > 0 && this.#isProtectedOver(); moves -= 1) {
      this.#move(this.#lists.first(PROTECTED), PROTECTED, PROBATION);
    }
  }

  #oldestOfMain(): number {
    const oldest = this.#lists.first(PROBATION);
    if (oldest !== -1 && oldest !== this.#winner) return oldest;
    const next = oldest === -1 ? -1 : this.#lists.after(oldest);
    return next === -1 ? this.#lists.first(PROTECTED) : next;
  }

  #admits(candidate: number, victim: number): boolean {
    const frequency = this.#sketch.frequency(this.#hashOf(candidate));
    return this.#worthOf(victim, frequency) < frequency || (frequency >= WARM && this.#context.random() < CHANCE);
  }

  /** What main loses if it makes the room that is missing, from its oldest on; counted no further than `enough`. */
  #worthOf(oldest: number, enough: number): number {
    const needed = this.#excessBytes;
    let worth = this.#sketch.frequency(this.#hashOf(oldest));
    let freed = this.#context.weightOf(oldest);
    let victim = oldest;
    for (let examined = 1; freed < needed && worth < enough; examined += 1) {
      if (examined === MOST_EXAMINED) return worth * (needed / freed);
      const next = this.#lists.after(victim);
      victim = next === -1 && this.#regionOf(victim) === PROBATION ? this.#lists.first(PROTECTED) : next;
      if (victim === -1) return worth;
      worth += Math.max(0, this.#sketch.frequency(this.#hashOf(victim)) - 1);
      freed += this.#context.weightOf(victim);
    }
    return worth;
  }

  #adapt(): void {
    if (!this.#full) {
      this.#hits = 0;
      this.#requests = 0;
      return;
    }
    const entries = this.#entries;
    if (this.#requests < Math.min(MOST_PER_ENTRY * entries, PERIOD_PER_ENTRY * entries + PERIOD)) return;
    this.#share(this.#climber.next(this.#hits / this.#requests));
    this.#hits = 0;
    this.#requests = 0;
  }

  /** Divides both measures of the capacity; the window keeps room for one entry, whatever its share. */
  #share(window: number): void {
    const { maxEntries, maxBytes } = this.#context;
    this.#windowEntries = Math.max(1, Math.round(window * maxEntries));
    this.#windowBytes = window * maxBytes;
    this.#protectedEntries = Math.floor(PROTECTED_OF_MAIN * (maxEntries - this.#windowEntries));
    this.#protectedBytes = PROTECTED_OF_MAIN * (maxBytes - this.#windowBytes);
  }
}
