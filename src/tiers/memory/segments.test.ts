import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrequencySketch } from "./frequency-sketch.js";
import { Ghosts } from "./ghosts.js";
import { hashKey } from "./hash-key.js";
import { REGIMES, type Regime } from "./regimes.js";
import { Segments } from "./segments.js";

const MAX_ENTRIES = 20;
const PLENTY = 2 ** 40;
const HASHES = Array.from({ length: 80 }, (_, id) => hashKey(`k${id}`, 5));

/** The rules once more, for entries of one weight, with arrays. */
class NaiveCache {
  regime: Regime;
  readonly window: number[] = [];
  readonly probation: number[] = [];
  readonly protected: number[] = [];
  readonly #ghosts = new Ghosts();
  readonly #sketch: FrequencySketch;
  #unleaked = 0;

  constructor(regime: Regime, sketch: FrequencySketch) {
    this.regime = regime;
    this.#sketch = sketch;
    this.#ghosts.ensureCapacity(Math.floor(1.5 * (MAX_ENTRIES + 1)));
  }

  get all(): number[] {
    return [...this.window, ...this.probation, ...this.protected];
  }

  /** @returns whether it was there. */
  request(id: number): boolean {
    if (this.all.includes(id)) {
      this.#use(id);
      return true;
    }
    const returns = this.#hasGhosts && this.#ghosts.has(HASHES[id] as number);
    if (returns) this.probation.push(id);
    else this.window.push(id);
    if (this.all.length > MAX_ENTRIES) this.#evict(returns ? id : -1);
    else if (!this.#hasGhosts) this.#spill();
    return false;
  }

  get #hasGhosts(): boolean {
    return typeof this.regime.admission === "string";
  }

  get #windowEntries(): number {
    return Math.max(1, Math.round(this.regime.window * MAX_ENTRIES));
  }

  #use(id: number): void {
    const isIn = (list: number[]): boolean => list.includes(id);
    const toWindow = isIn(this.window) || this.regime.window === 1;
    const promoted = isIn(this.window) && this.regime.admission === "return-or-use";
    const most = Math.floor(this.regime.protectedOfMain * (MAX_ENTRIES - this.#windowEntries));
    const isProtected = isIn(this.protected) || (isIn(this.probation) && most > 0);
    for (const list of [this.window, this.probation, this.protected]) {
      if (isIn(list)) list.splice(list.indexOf(id), 1);
    }
    if (toWindow && !promoted) this.window.push(id);
    else if (isProtected && !promoted) this.protected.push(id);
    else this.probation.push(id);
    while (this.protected.length > most) this.probation.push(this.protected.shift() as number);
  }

  #spill(): void {
    while (this.window.length > this.#windowEntries) this.probation.push(this.window.shift() as number);
  }

  #evict(returner: number): void {
    const victim = this.#victim(returner);
    for (const list of [this.window, this.probation, this.protected]) {
      if (list.includes(victim)) list.splice(list.indexOf(victim), 1);
    }
    this.#ghosts.add(HASHES[victim] as number);
  }

  #victim(returner: number): number {
    const [oldest] = [...this.probation, ...this.protected].filter((id) => id !== returner);
    const candidate = this.window[0] as number;
    if (this.window.length <= this.#windowEntries) return this.#leaks(oldest) ? candidate : (oldest as number);
    const { admission } = this.regime;
    if (typeof admission === "string" || oldest === undefined) return candidate;
    const [asked, held] = [candidate, oldest].map((id) => this.#sketch.frequency(HASHES[id] as number)) as [
      number,
      number,
    ];
    if (asked <= held + admission.lead) return candidate;
    this.probation.push(this.window.shift() as number);
    return oldest;
  }

  #leaks(oldest: number | undefined): boolean {
    if (oldest === undefined) return true;
    if (!this.#hasGhosts || this.window.length < 2) return false;
    this.#unleaked = (this.#unleaked + 1) % 16;
    return this.#unleaked === 0;
  }
}

/** The same requests to both, which must hold the same after each. */
function compare(regime: Regime, ids: readonly number[]): void {
  const sketch = new FrequencySketch(64);
  const naive = new NaiveCache(regime, sketch);
  const context = { sketch, weights: { of: () => 1 }, random: () => 0.99 };
  const segments = new Segments(context, regime, MAX_ENTRIES, PLENTY);
  segments.resize(HASHES.length);
  const held = new Set<number>();
  for (const id of ids) {
    sketch.increment(HASHES[id] as number);
    const isHit = held.has(id);
    if (isHit) segments.use(id);
    else segments.add(id, HASHES[id] as number);
    held.add(id);
    while (segments.isOver()) {
      const victim = segments.nextVictim();
      segments.remove(victim);
      held.delete(victim);
    }
    assert.equal(naive.request(id), isHit);
    assert.deepEqual(new Set(naive.all), held);
  }
}

const ids = fc.array(fc.oneof(fc.nat(24), fc.nat(79)), { maxLength: 300, size: "max" });

describe.each(REGIMES.map((regime) => ({ regime, name: JSON.stringify(regime) })))(
  "segments under $name",
  ({ regime }) => {
    it("holds what a plain re-implementation holds, request by request", () => {
      fc.assert(
        fc.property(ids, (requests) => compare(regime, requests)),
        { numRuns: 150 },
      );
    });
  },
);

/** A cache of 100 bytes per key 0 to 99, each asked for twice, and then whoever comes. */
function filled(regime: Regime): { ask: (id: number, weight: number) => boolean; held: Set<number> } {
  const sketch = new FrequencySketch(256);
  const weights = new Map<number, number>();
  const context = { sketch, weights: { of: (slot: number) => weights.get(slot) as number }, random: () => 0.99 };
  const segments = new Segments(context, regime, 1000, 10_000);
  segments.resize(1000);
  const held = new Set<number>();
  const ask = (id: number, weight: number): boolean => {
    const hash = hashKey(`w${id}`, 7);
    sketch.increment(hash);
    if (held.has(id)) {
      segments.use(id);
      return true;
    }
    weights.set(id, weight);
    segments.add(id, hash);
    held.add(id);
    while (segments.isOver()) {
      const victim = segments.nextVictim();
      segments.remove(victim);
      held.delete(victim);
    }
    return held.has(id);
  };
  for (let round = 0; round < 2; round += 1) for (let id = 0; id < 100; id += 1) ask(id, 100);
  return { ask, held };
}

describe.each(REGIMES.map((regime) => ({ regime, name: JSON.stringify(regime) })))(
  "weights under $name",
  ({ regime }) => {
    it("never let one large value flush what is in use, however often it returns", () => {
      const { ask, held } = filled(regime);
      for (let i = 0; i < 5; i += 1) expect(ask(500, 6000)).toBe(false);
      expect(held.size).toBe(100);
    });

    it("let a large value in that is asked for more often than all it pushes out together", () => {
      const { ask, held } = filled(regime);
      for (let i = 0; i < 12; i += 1) ask(500, 700);
      expect(held.has(500)).toBe(true);
      ask(501, 100);
      expect(held.has(500)).toBe(true);
      expect(held.size).toBeGreaterThan(90);
    });
  },
);

describe("Segments", () => {
  it("names the winner itself when everything else has gone and there is still no room", () => {
    for (const regime of REGIMES) {
      const sketch = new FrequencySketch(64);
      const weights = { of: (slot: number): number => (slot === 9 ? 60 : 5) };
      const segments = new Segments({ sketch, weights, random: () => 0.99 }, regime, 20, 25);
      segments.resize(10);
      for (let i = 0; i < 15; i += 1) sketch.increment(HASHES[9] as number);
      for (let slot = 0; slot < 5; slot += 1) segments.add(slot, HASHES[slot] as number);
      segments.add(9, HASHES[9] as number);
      const gone: number[] = [];
      while (segments.isOver() && gone.length < 10) {
        const victim = segments.nextVictim();
        segments.remove(victim);
        gone.push(victim);
      }
      expect(gone).toContain(9);
      expect(segments.isOver()).toBe(false);
    }
  });

  it("names a spared entry again only after others, under every regime", () => {
    for (const regime of REGIMES) {
      const sketch = new FrequencySketch(64);
      const segments = new Segments(
        { sketch, weights: { of: () => 1 }, random: () => 0.99 },
        regime,
        MAX_ENTRIES,
        PLENTY,
      );
      segments.resize(100);
      for (let id = 0; id <= MAX_ENTRIES; id += 1) segments.add(id, HASHES[id] as number);
      const spared = segments.nextVictim();
      segments.spare(spared);
      const next = segments.nextVictim();
      expect(next).not.toBe(spared);
    }
  });

  it("has a warm candidate in by chance, against residents that are as warm", () => {
    const admits = (chance: number): boolean => {
      const sketch = new FrequencySketch(64);
      const regime: Regime = { window: 0.01, protectedOfMain: 0.8, admission: { lead: 0 } };
      const segments = new Segments({ sketch, weights: { of: () => 1 }, random: () => chance }, regime, 4, PLENTY);
      segments.resize(10);
      for (let id = 0; id < 6; id += 1) for (let i = 0; i < 8; i += 1) sketch.increment(HASHES[id] as number);
      for (let id = 0; id < 5; id += 1) segments.add(id, HASHES[id] as number);
      return segments.nextVictim() === 0;
    };
    expect(admits(0.5)).toBe(false);
    expect(admits(0.001)).toBe(true);
  });

  it("lets go under another regime of what only the one before protected", () => {
    const protecting = REGIMES.filter(({ protectedOfMain, window }) => protectedOfMain > 0 && window < 1);
    for (const before of protecting) {
      for (const after of REGIMES.filter((regime) => !protecting.includes(regime))) {
        const sketch = new FrequencySketch(64);
        const context = { sketch, weights: { of: () => 1 }, random: () => 0.99 };
        const segments = new Segments(context, before, MAX_ENTRIES, PLENTY);
        segments.resize(HASHES.length);
        const held = new Set<number>();
        const request = (id: number): void => {
          sketch.increment(HASHES[id] as number);
          if (held.has(id)) segments.use(id);
          else segments.add(id, HASHES[id] as number);
          held.add(id);
          while (segments.isOver()) {
            const victim = segments.nextVictim();
            segments.remove(victim);
            held.delete(victim);
          }
        };
        // The first dozen are used again and again, and never once the regime is another.
        for (let i = 0; i < 400; i += 1) request(i % 12);
        segments.follow(after);
        for (let i = 0; i < 400; i += 1)
          for (let uses = 0; uses < 3; uses += 1) request(12 + (i % 25) + 30 * Math.floor(i / 200));
        expect([...held].filter((id) => id < 12)).toEqual([]);
      }
    }
  });

  it("moves on to another regime with all it holds", () => {
    const sketch = new FrequencySketch(64);
    const segments = new Segments(
      { sketch, weights: { of: () => 1 }, random: () => 0.99 },
      REGIMES[0] as Regime,
      MAX_ENTRIES,
      PLENTY,
    );
    segments.resize(100);
    let held = new Set<number>();
    for (let i = 0; i < 600; i += 1) {
      if (i % 40 === 0) segments.follow(REGIMES[(i / 40) % REGIMES.length] as Regime);
      const id = (i * 7) % 53;
      if (held.has(id)) segments.use(id);
      else segments.add(id, HASHES[id] as number);
      held = new Set([...held, id]);
      while (segments.isOver()) {
        const victim = segments.nextVictim();
        expect(held.has(victim)).toBe(true);
        segments.remove(victim);
        held.delete(victim);
      }
      expect(segments.size).toBe(held.size);
    }
  });
});
