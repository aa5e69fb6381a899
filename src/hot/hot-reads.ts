import type { Clock } from "../clock.js";
import type { EntryFields } from "../entries/entry.js";
import type { Held } from "../entries/held.js";
import type { SharedForm } from "../load/entry-maker.js";
import type { Found, ReadSpec } from "../load/shared-entries.js";
import type { HotKeyStats, Recorder } from "../stats.js";
import type { LocalEntries } from "../tiers/local-entries.js";
import type { MemoryTier } from "../tiers/memory/memory-tier.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";
import { HotCopies } from "./copies.js";
import { HotKeys } from "./hot-keys.js";
import { HOT_KEY_DEFAULTS, type HotKeySettings } from "./hot-options.js";

/** Hits between two that are told, where no hot keys are looked for. */
const SAMPLE_DISTANCE = 64;

/** Of so many hits that are told, one is asked for its age. */
const AGE_DISTANCE = 16;

/**
 * What is done for hot keys, in one place: memory keeps them (`MemoryTier.pin`), they are refreshed before they expire
 * (`LocalEntries.anticipate`, and `isDue` where there is no memory), and their copies are read (`HotCopies`).
 */
export class HotReads {
  readonly #keys: HotKeys | undefined;
  readonly #copies: HotCopies;
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #memory: () => MemoryTier<Held> | undefined;
  readonly #local: () => LocalEntries;
  /** Of hot keys that no memory keeps, the entry seen last and when it is to be refreshed: Infinity once that was tried. */
  readonly #due = new Map<string, { readonly stamp: Uint8Array; at: number }>();

  #untilAge = 1;

  /** @param parts.settings `undefined` when no hot keys are looked for. */
  constructor(parts: {
    settings: HotKeySettings | undefined;
    clock: Clock;
    recorder: Recorder;
    random: () => number;
    memory: () => MemoryTier<Held> | undefined;
    local: () => LocalEntries;
    sides: () => Sides;
  }) {
    const { settings, clock, recorder, random, sides } = parts;
    this.#clock = clock;
    this.#recorder = recorder;
    this.#memory = parts.memory;
    this.#local = parts.local;
    const count = settings?.copies ?? HOT_KEY_DEFAULTS.copies;
    this.#copies = new HotCopies({ count, sides, clock, isHot: (path) => this.has(path) });
    const effects = {
      heated: (path: string) => this.#local().anticipate(path),
      cooled: (path: string) => this.#forget(path),
      ranked: (paths: readonly string[]) => this.#memory()?.pin(paths),
    };
    this.#keys = settings && new HotKeys({ settings, clock, recorder, random, effects });
  }

  /** Told by memory of one hit in so many. @returns how many hits on the next is to be told. */
  sample(path: string): number {
    this.#untilAge -= 1;
    if (this.#untilAge <= 0) this.#tellAge(path);
    return this.#keys?.sample(path) ?? SAMPLE_DISTANCE;
  }

  has(path: string): boolean {
    return this.#keys?.has(path) === true;
  }

  /** A read that memory has not answered. */
  read(path: string): void {
    this.#keys?.read(path);
  }

  /** The entry in the shared tier, wherever it is best read. */
  find(side: SharedSide, path: string, spec: ReadSpec): Promise<Found> {
    return this.has(path) ? this.#copies.find(side, path, spec) : side.entries.find(path, spec);
  }

  /** The shared tier took a loaded entry. */
  filled(path: string, form: SharedForm, { stamp, position, sliding }: EntryFields): void {
    if (sliding) return;
    const now = this.#clock.now();
    this.#copies.filled(path, { bytes: form.bytes, stamp, position, createdAt: now, until: now + form.ttl });
  }

  /**
   * Whether an entry found in the shared tier, which no memory of this process keeps, is to be refreshed now, and
   * nobody here has tried that yet.
   */
  isDue(path: string, held: Held): boolean {
    if (this.#memory() !== undefined || !this.has(path)) return false;
    const { stamp } = held.fields;
    let due = this.#due.get(path);
    // Drawn once for an entry, as for one in memory: drawn at each read, it would be the earliest of a thousand draws.
    if (due === undefined || due.stamp.some((byte, at) => byte !== stamp[at])) {
      this.#local().anticipateHeld(held);
      due = { stamp, at: held.refreshAt };
      this.#due.set(path, due);
    }
    if (this.#clock.now() < due.at) return false;
    due.at = Number.POSITIVE_INFINITY;
    return true;
  }

  /** A record that names the key is applied. */
  invalidated(path: string, position: number): void {
    this.#copies.invalidated(path, position);
  }

  /** A log could not be followed up to `position`. */
  lost(side: SharedSide, position: number): void {
    this.#copies.lost(side, position);
  }

  #tellAge(path: string): void {
    this.#untilAge = AGE_DISTANCE;
    const held = this.#recorder.hearsAges ? this.#memory()?.peek(path) : undefined;
    if (held === undefined) return;
    this.#recorder.served(held.counters, path, "memory", Math.max(0, this.#clock.now() - held.createdAt));
  }

  /** Hottest first. */
  stats(): HotKeyStats[] {
    const memory = this.#memory();
    return (this.#keys?.list() ?? []).map(({ key, perSecond }) => ({
      key,
      perSecond,
      pinned: memory?.isPinned(key) === true,
      fromCopies: this.#copies.hits(key),
    }));
  }

  close(): void {
    this.#keys?.close();
  }

  #forget(path: string): void {
    this.#copies.forget(path);
    this.#due.delete(path);
  }
}
