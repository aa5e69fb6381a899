import type { FrequencySketch } from "./frequency-sketch.js";
import { Ghosts } from "./ghosts.js";
import type { WeightsBySlot } from "./policy.js";
import type { Regime } from "./regimes.js";
import { SlotLists } from "./slot-lists.js";

type Region = 0 | 1 | 2;
const WINDOW: Region = 0;
const PROBATION: Region = 1;
const PROTECTED: Region = 2;

/** A refused candidate this frequent gets in by chance, once in 128 times. */
const WARM = 6;
const CHANCE = 1 / 128;
/** Victims looked at for one heavy candidate; beyond, their worth is extrapolated. */
const MOST_EXAMINED = 64;
/** Entries that one call moves between regions after the regime has changed. */
const MOST_MOVED = 32;
/** What is heavier than this share of all bytes gets in by its frequency only, whatever the regime. */
const LIGHT = 1 / 16;
/**
 * Where every newcomer goes to main at once, the window would keep for ever what it held before: with ghosts one victim
 * in so many is the window's oldest, though it is not over its share.
 */
const LEAK = 16;
/** Evicted keys remembered, per entry held: three bytes. */
const GHOSTS_PER_ENTRY = 1.5;

export interface SegmentsContext {
  readonly sketch: FrequencySketch;
  readonly weights: WeightsBySlot;
  /** Source of chance, in [0, 1). */
  random(): number;
}

/**
 * The entries of one cache in order, and the choice of its victims under a regime.
 *
 *     new → window ──(oldest, when over its share)──▶ admitted? ──▶ probation ⇄ protected
 *     evicted lately ─────(regimes with ghosts)─────────────────▲
 *
 * Probation and protected together are main, a segmented LRU: a use moves an entry of probation to protected, whose
 * overflow goes back to probation. The capacity has two measures, entries and bytes; a region is over its share when
 * it is over in either. The loser of a contest between the window's oldest and main's is the victim.
 *
 * Weights: a candidate heavier than the victim has to beat all the victims it would push out together, by the sum of
 * their frequencies ("aggregated victims": Einziger, Eytan, Friedman, Manes, "Lightweight Robust Size Aware Cache
 * Management", ACM ToS 2022), where beyond the first those seen once count nothing: they were never used again.
 * A heavy newcomer has to do so under every regime, at once.
 *
 * A flood of keys that keeps the victim's counters high would shut everybody out; the seeded hash makes such keys
 * hard to find, and the chance given to warm losers breaks the deadlock.
 *
 * O(1) per call, but for heavy candidates (bounded).
 */
export class Segments {
  /** What `prepare` read last: read for nothing, it would not be read at all. */
  fetched = 0;
  readonly #context: SegmentsContext;
  readonly #ghosts = new Ghosts();
  readonly #lists = new SlotLists(3);
  readonly #counts = new Int32Array(3);
  readonly #bytes = new Float64Array(3);
  /** Hash in the upper 30 bits, region in the lower two. */
  #marks: Int32Array = new Int32Array(0);
  #regime: Regime;
  #maxEntries = 0;
  #maxBytes = 0;
  #windowEntries = 0;
  #windowBytes = 0;
  #protectedEntries = 0;
  #protectedBytes = 0;
  /** Of the regime. */
  #hasGhosts = false;
  #isAllWindow = false;
  #promotesUsed = false;
  #lead = 0;
  /** Not to be the next victim while its room is being made: the candidate that was admitted. */
  #winner = -1;
  /** The newcomer, when it is heavy and has not been judged yet: the window's oldest. */
  #heavy = -1;
  #victim = -1;
  /** Victims taken from main since the last from a window that is not over its share. */
  #unleaked = 0;

  constructor(context: SegmentsContext, regime: Regime, maxEntries: number, maxBytes: number) {
    this.#context = context;
    this.#regime = regime;
    this.bound(maxEntries, maxBytes);
  }

  get regime(): Regime {
    return this.#regime;
  }

  /** Goes on under another regime; the entries move to their places in time. */
  follow(regime: Regime): void {
    this.#regime = regime;
    this.bound(this.#maxEntries, this.#maxBytes);
  }

  /** Divides both measures of the capacity; the window keeps room for one entry, whatever its share. */
  bound(maxEntries: number, maxBytes: number): void {
    const { window, protectedOfMain, admission } = this.#regime;
    this.#hasGhosts = typeof admission === "string";
    this.#isAllWindow = window === 1;
    this.#promotesUsed = admission === "return-or-use";
    this.#lead = typeof admission === "string" ? 0 : admission.lead;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#windowEntries = Math.max(1, Math.round(window * maxEntries));
    this.#windowBytes = window * maxBytes;
    this.#protectedEntries = Math.floor(protectedOfMain * (maxEntries - this.#windowEntries));
    this.#protectedBytes = protectedOfMain * (maxBytes - this.#windowBytes);
  }

  get size(): number {
    const counts = this.#counts;
    return (counts[WINDOW] as number) + (counts[PROBATION] as number) + (counts[PROTECTED] as number);
  }

  isOver(): boolean {
    return this.size > this.#maxEntries || this.#excessBytes > 0;
  }

  hashOf(slot: number): number {
    return (this.#marks[slot] as number) >>> 2;
  }

  add(slot: number, hash: number): void {
    this.#forgetContest();
    // Under a regime that protects nobody no use ever does so: what was protected before would stay for ever.
    if (this.#isProtectedOver()) this.#move(this.#lists.first(PROTECTED), PROTECTED, PROBATION);
    this.#marks[slot] = hash << 2;
    const weight = this.#context.weights.of(slot);
    if (weight > Math.min(this.#windowBytes, LIGHT * this.#maxBytes)) this.#addHeavy(slot);
    else if (this.#hasGhosts && this.#ghosts.has(hash)) this.#addReturner(slot);
    else this.#addNewcomer(slot);
    // With ghosts main is for those that returned, and the window has the rest until they come.
    if (!this.#hasGhosts && !this.isOver()) while (this.#isWindowOver()) this.#spill();
  }

  use(slot: number): void {
    const region = this.#regionOf(slot);
    if (region === WINDOW && this.#promotesUsed) this.#move(slot, WINDOW, PROBATION);
    else if (region === PROBATION && this.#context.weights.of(slot) <= this.#protectedBytes) this.#protect(slot);
    else if (region !== WINDOW && this.#isAllWindow) this.#move(slot, region, WINDOW);
    else this.#lists.moveToEnd(region, slot);
  }

  /** The weight has changed. */
  reweigh(slot: number, previousWeight: number): void {
    const region = this.#regionOf(slot);
    this.#bytes[region] = (this.#bytes[region] as number) + this.#context.weights.of(slot) - previousWeight;
    this.#forgetContest();
    this.#demote();
  }

  /**
   * Reads what adding a key and removing a victim will need: apart from each other, but all at once, these reads cost
   * hardly more than one.
   *
   * @returns the likely victim, or -1.
   */
  prepare(hash: number): number {
    const { sketch } = this.#context;
    const oldest = this.#lists.first(PROBATION);
    const candidate = this.#lists.first(WINDOW);
    const isFull = (this.#counts[WINDOW] as number) >= this.#windowEntries;
    const victim = oldest === -1 || (this.#hasGhosts && isFull) ? candidate : oldest;
    let read = sketch.fetch(hash);
    if (this.#hasGhosts) read ^= this.#ghosts.fetch(hash);
    else if (candidate !== -1 && oldest !== -1)
      read ^= sketch.fetch(this.hashOf(candidate)) ^ sketch.fetch(this.hashOf(oldest));
    if (victim !== -1) read ^= this.#ghosts.fetch(this.hashOf(victim));
    this.fetched = read;
    return victim;
  }

  /** The same for `use` of every `stride`th of the slots. */
  prepareUses(slots: Uint32Array, first: number, count: number, stride: number): void {
    const context = this.#context;
    const { sketch } = context;
    const lists = this.#lists;
    let read = 0;
    for (let i = first; i < count; i += stride) {
      const slot = slots[i] as number;
      read ^= sketch.fetch(this.hashOf(slot)) ^ lists.fetch(slot) ^ context.weights.of(slot);
    }
    this.fetched = read;
  }

  /** Asked while it is over and not empty; `remove` or `spare` follows. */
  nextVictim(): number {
    this.#victim = this.#choose();
    return this.#victim;
  }

  remove(slot: number): void {
    if (slot === this.#victim) {
      this.#ghosts.ensureCapacity(Math.floor(GHOSTS_PER_ENTRY * this.size));
      this.#ghosts.add(this.hashOf(slot));
    }
    this.#lists.remove(slot);
    this.#leave(slot, this.#regionOf(slot));
  }

  /** To where those are that were used again, though it was not; one too heavy for there, to the end of the others. */
  spare(slot: number): void {
    this.#forgetContest();
    const isHeavy = this.#context.weights.of(slot) > this.#protectedBytes;
    const mainRegion = isHeavy ? PROBATION : PROTECTED;
    this.#move(slot, this.#regionOf(slot), this.#isAllWindow ? WINDOW : mainRegion);
    this.#demote();
  }

  resize(slots: number): void {
    const marks = new Int32Array(slots);
    marks.set(this.#marks.subarray(0, slots));
    this.#marks = marks;
    this.#lists.resize(slots);
    if (slots === 0) this.#ghosts.clear();
  }

  get #excessBytes(): number {
    const bytes = this.#bytes;
    const sum = (bytes[WINDOW] as number) + (bytes[PROBATION] as number) + (bytes[PROTECTED] as number);
    return sum - this.#maxBytes;
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

  #forgetContest(): void {
    this.#winner = -1;
    this.#heavy = -1;
    this.#victim = -1;
  }

  /** Straight to the contest, instead of pushing everyone else there. */
  #addHeavy(slot: number): void {
    this.#enter(slot, WINDOW);
    this.#lists.prepend(WINDOW, slot);
    this.#heavy = slot;
  }

  #addReturner(slot: number): void {
    this.#enter(slot, PROBATION);
    this.#lists.append(PROBATION, slot);
    this.#winner = slot;
  }

  #addNewcomer(slot: number): void {
    if (!this.#hasGhosts) for (let moves = MOST_MOVED; moves > 0 && this.#isWindowOver(); moves -= 1) this.#spill();
    this.#enter(slot, WINDOW);
    this.#lists.append(WINDOW, slot);
  }

  #enter(slot: number, region: Region): void {
    this.#marks[slot] = ((this.#marks[slot] as number) & ~3) | region;
    this.#counts[region] = (this.#counts[region] as number) + 1;
    this.#bytes[region] = (this.#bytes[region] as number) + this.#context.weights.of(slot);
  }

  #leave(slot: number, region: Region): void {
    this.#counts[region] = (this.#counts[region] as number) - 1;
    this.#bytes[region] = (this.#bytes[region] as number) - this.#context.weights.of(slot);
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

  #protect(slot: number): void {
    this.#move(slot, PROBATION, PROTECTED);
    this.#demote();
  }

  /** A few at a time: after a change of regime there may be a large part of the entries to move. */
  #demote(): void {
    for (let moves = MOST_MOVED; moves > 0 && this.#isProtectedOver(); moves -= 1) {
      this.#move(this.#lists.first(PROTECTED), PROTECTED, PROBATION);
    }
  }

  #choose(): number {
    const isJudged = this.#heavy === -1;
    const oldest = this.#oldestOfMain();
    const candidate = this.#lists.first(WINDOW);
    // Alone, and heavier than all there is: it won its contest against whoever was there.
    if (oldest === -1 && candidate === -1) return this.#winner;
    if (isJudged && !this.#isWindowOver()) return oldest === -1 || this.#isLeaking(candidate) ? candidate : oldest;
    if (isJudged && this.#hasGhosts) return candidate;
    const rival = oldest === -1 && !isJudged ? this.#lists.after(candidate) : oldest;
    if (rival === -1 || !this.#admits(candidate, rival)) return candidate;
    this.#heavy = -1;
    this.#winner = candidate;
    if (this.#isAllWindow) this.#lists.moveToEnd(WINDOW, candidate);
    else this.#spill();
    return rival;
  }

  #isLeaking(candidate: number): boolean {
    if (!this.#hasGhosts || candidate === -1 || this.#lists.after(candidate) === -1) return false;
    this.#unleaked += 1;
    if (this.#unleaked < LEAK) return false;
    this.#unleaked = 0;
    return true;
  }

  #oldestOfMain(): number {
    const oldest = this.#lists.first(PROBATION);
    if (oldest !== -1 && oldest !== this.#winner) return oldest;
    const next = oldest === -1 ? -1 : this.#lists.after(oldest);
    return next === -1 ? this.#lists.first(PROTECTED) : next;
  }

  #admits(candidate: number, rival: number): boolean {
    const frequency = this.#context.sketch.frequency(this.hashOf(candidate));
    if (this.#worthOf(rival, frequency) < frequency - this.#lead) return true;
    return frequency >= WARM && this.#context.random() < CHANCE;
  }

  /** What is lost if the missing room is made, from the oldest on; counted no further than `enough`. */
  #worthOf(oldest: number, enough: number): number {
    const { sketch } = this.#context;
    const needed = this.#excessBytes;
    const first = sketch.frequency(this.hashOf(oldest));
    let worth = first;
    let freed = this.#context.weights.of(oldest);
    let victim = oldest;
    for (let examined = 1; freed < needed && worth < enough; examined += 1) {
      if (examined === MOST_EXAMINED) return first + (worth - first) * (needed / freed);
      const next = this.#lists.after(victim);
      victim = next === -1 && this.#regionOf(victim) === PROBATION ? this.#lists.first(PROTECTED) : next;
      if (victim === -1) return worth;
      worth += Math.max(0, sketch.frequency(this.hashOf(victim)) - 1);
      freed += this.#context.weights.of(victim);
    }
    return worth;
  }
}
