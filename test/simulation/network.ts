import type { Schedule, SharedStep } from "../../src/testing/index.js";
import type { Instance } from "./instance.js";
import type { Random } from "./random.js";
import type { Weather } from "./weather.js";

/** One thing that can happen next. */
export interface Pending {
  /**
   * `source`: a load is answered, or a caller goes on. `database`: what the database does by itself. `feed`: between it
   * and the feed of a process.
   */
  readonly kind: SharedStep["kind"] | "source" | "database" | "feed";
  readonly name: string;
  readonly owner: Instance;
  readonly shard: number;
  run(): void;
}

/** What of a process's conversation with a server does not get through. */
interface Cut {
  readonly process: number;
  readonly kinds: readonly Pending["kind"][];
  /** The one server concerned; `undefined` for all. */
  readonly shard: number | undefined;
  /** What is sent meanwhile is lost; else it waits for the end of the cut. */
  readonly loses: boolean;
}

/** Steps passed over in a row because they are slow. */
const PATIENCE = 4;

/** Everything that is under way: between processes and servers, and at the source. */
export class Network {
  readonly #random: Random;
  readonly #reordered: boolean;
  readonly #slow: Weather["slow"];
  #pending: Pending[] = [];
  #cuts: Cut[] = [];

  constructor(random: Random, { reordered, slow }: Weather) {
    this.#random = random;
    this.#reordered = reordered;
    this.#slow = slow;
  }

  get size(): number {
    return this.#pending.length;
  }

  get cuts(): number {
    return this.#cuts.length;
  }

  /** What a process's client asks, is told and hears comes here. */
  scheduleOf(owner: Instance): Schedule {
    return (step) => {
      if (owner.isAlive) this.add({ ...step, owner, run: () => step.run() });
    };
  }

  add(step: Pending): void {
    this.#pending.push(step);
  }

  has(kind: Pending["kind"], name: string): boolean {
    return this.#pending.some((step) => step.kind === kind && step.name === name);
  }

  /** Takes out a step that may happen now, of these kinds if any are named; `isLost` when a cut swallows it. */
  take(kinds?: readonly Pending["kind"][]): { readonly step: Pending; readonly isLost: boolean } | undefined {
    let fit =
      this.#cuts.length === 0 ? this.#pending : this.#pending.filter((step) => this.#cutting(step)?.loses !== false);
    if (kinds !== undefined) fit = fit.filter((step) => kinds.includes(step.kind));
    if (fit.length === 0) return undefined;
    const chosen = this.#pick(fit);
    const step =
      this.#reordered || chosen.kind === "source" || chosen.kind === "database"
        ? chosen
        : (fit.find(
            (one) => one.kind === chosen.kind && one.owner === chosen.owner && one.shard === chosen.shard,
          ) as Pending);
    this.#pending.splice(this.#pending.indexOf(step), 1);
    return { step, isLost: this.#cutting(step) !== undefined };
  }

  #pick(fit: readonly Pending[]): Pending {
    for (let tries = 0; tries < PATIENCE; tries += 1) {
      const chosen = this.#random.pick(fit);
      if (!this.#random.chance(this.#slow[chosen.kind])) return chosen;
    }
    return this.#random.pick(fit);
  }

  /** Everything that is under way, in order; nothing is any more. */
  takeAll(): Pending[] {
    return this.#pending.splice(0);
  }

  cut(cut: Cut): void {
    this.#cuts.push(cut);
  }

  /** The end of one cut. */
  mend(): Cut | undefined {
    return this.#cuts.splice(this.#random.below(this.#cuts.length), 1)[0];
  }

  mendAll(): void {
    this.#cuts = [];
  }

  /** A process is dead: nothing reaches it any more. What it has sent may arrive yet, or not. */
  died(owner: Instance): void {
    this.#pending = this.#pending.filter(
      (step) =>
        step.owner !== owner || step.kind === "database" || (step.kind === "request" && this.#random.chance(0.5)),
    );
    this.#cuts = this.#cuts.filter(({ process }) => process !== owner.process);
  }

  /** A server is replaced: what it had yet to push is lost, and what of its log it had yet to say. */
  replaced(shard: number | undefined): void {
    this.#pending = this.#pending.filter(
      (step) =>
        (shard !== undefined && step.shard !== shard) ||
        (step.kind !== "push" && !(step.kind === "reply" && step.name === "since")),
    );
  }

  #cutting({ kind, owner, shard }: Pending): Cut | undefined {
    return this.#cuts.find(
      (cut) =>
        cut.process === owner.process && (cut.shard === undefined || cut.shard === shard) && cut.kinds.includes(kind),
    );
  }
}
