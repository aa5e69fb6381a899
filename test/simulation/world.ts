import { FakeClock, SharedMemory } from "../../src/testing/index.js";
import type { ChangeTarget } from "../../src/index.js";
import { Database } from "./database.js";
import { SimulatedFeed } from "./feed.js";
import { Instance } from "./instance.js";
import { Model } from "./model.js";
import { Network, type Pending } from "./network.js";
import type { Random } from "./random.js";
import { rowsOf, type Aim, type Row } from "./rows.js";
import type { Weather } from "./weather.js";

export const PROCESSES = 3;
/** Milliseconds that every step takes: a server's clock has moved on whenever it is asked. */
const TICK = 0.01;
/** Milliseconds: sums of times are not exact. */
const ROUNDING = 1e-6;
/** Changes that a failover may lose. */
export const REPLICA_LAG = 12;

/** A promise of the caches was broken. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What happened in a run, and what it counts. */
export interface Tally {
  steps: number;
  reads: number;
  loads: number;
  writes: number;
  locks: number;
  crashes: number;
  failovers: number;
  /** Events that came before their row was visible. */
  early: number;
  /** Times that a process began to read the slot; times that it had everything forgotten. */
  takeovers: number;
  forgets: number;
  /** How long the oldest value that a fed reader got had been outdated when it was asked for, as a part of the bound. */
  stalest: number;
}

/**
 * Everything there is in one run: processes, servers, what is under way between them, and what is known of it. The
 * caches and the shared tier are the real ones; only their clock and the order of things are the simulation's.
 */
export class World {
  readonly random: Random;
  readonly weather: Weather;
  readonly clock: FakeClock = new FakeClock();
  readonly server: SharedMemory;
  readonly network: Network;
  readonly database: Database;
  readonly model: Model;
  readonly rows: readonly Row[];
  readonly aims: readonly Aim[];
  readonly changeOf: (process: number, row: number, manner: number) => ChangeTarget;
  readonly tally: Tally = {
    steps: 0,
    reads: 0,
    loads: 0,
    writes: 0,
    locks: 0,
    crashes: 0,
    failovers: 0,
    early: 0,
    takeovers: 0,
    forgets: 0,
    stalest: 0,
  };
  /** Loads of the source fail. */
  failing = false;
  /** A call has failed, or may have: from then on two processes may rightly load the same. */
  isTroubled = false;
  /** What the feeds tell one another does not arrive. */
  losesNotes = false;
  /** Rows that are asked for. */
  readonly #used: readonly number[];
  readonly #instances: Instance[] = [];
  /** Processes in which something may have changed since they were looked at. */
  readonly #stirred = new Set<Instance>();
  readonly #story: string[] | undefined;
  #broken: string | undefined;
  #named = 0;

  constructor(random: Random, weather: Weather, recorded: boolean) {
    this.random = random;
    this.weather = weather;
    this.#story = recorded ? [JSON.stringify(weather)] : undefined;
    this.network = new Network(random, weather);
    this.server = new SharedMemory({ clock: this.clock, replicaLag: weather.failover ? REPLICA_LAG : 0 });
    const { rows, aims, changeOf } = rowsOf((process) => this.instance(process).cache);
    this.rows = rows;
    this.changeOf = changeOf;
    this.database = new Database(this, rows.length);
    const all = Array.from(rows.keys());
    this.#used = weather.rows === 0 ? all : Array.from({ length: weather.rows }, () => random.pick(all));
    this.aims = aims.filter((aim) => aim.rows.some((row) => this.#used.includes(row)));
    // One more: the newcomer who looks at what is left in the end.
    this.model = new Model(rows.length, PROCESSES + 1);
    for (let process = 0; process < PROCESSES; process += 1) this.start(process);
  }

  get story(): string {
    return this.#story?.join("\n") ?? "";
  }

  get living(): Instance[] {
    return this.#instances.filter(({ isAlive }) => isAlive);
  }

  get dead(): Instance[] {
    return this.#instances.filter(({ isAlive }) => !isAlive);
  }

  /** A row in use, below `end`; any below it when there is none. */
  pickRow(end: number): number {
    const used = this.#used.filter((row) => row < end);
    return used.length === 0 ? this.random.below(end) : this.random.pick(used);
  }

  /** The newest life of a process. */
  instance(process: number): Instance {
    return this.#instances[process] as Instance;
  }

  /** A process starts, cold. */
  start(process: number): Instance {
    const instance = new Instance(process, {
      clock: this.clock,
      server: this.server,
      random: this.random,
      weather: this.weather,
      schedule: (owner) => this.network.scheduleOf(owner),
      epoch: () => this.model.epoch,
      // The newcomer has none: it gets whatever the shared tier has.
      feed: (owner) => (this.weather.fed > 0 && process < PROCESSES ? new SimulatedFeed(this, owner) : undefined),
    });
    this.#instances[process] = instance;
    this.model.started(process);
    return instance;
  }

  kill(instance: Instance): void {
    instance.die();
    this.network.died(instance);
    this.database.died(instance);
  }

  /** The newcomer goes again; it counts among the processes no more. */
  leave(newcomer: Instance): void {
    this.kill(newcomer);
    this.#instances.splice(newcomer.process, 1);
  }

  /** A name for a call in the story. */
  name(): string {
    this.#named += 1;
    return `#${this.#named}`;
  }

  tell(what: string): void {
    this.#story?.push(`${this.clock.now().toFixed(2).padStart(9)}  ${what}`);
  }

  break(what: string): void {
    this.tell(`BROKEN: ${what}`);
    this.#broken ??= what;
  }

  /** @throws Violation */
  check(): void {
    if (this.#broken !== undefined) throw new Violation(this.#broken);
  }

  /** What a dead process was promised is nobody's. */
  follow<T>(
    owner: Instance,
    promise: Promise<T>,
    fulfilled: (value: T) => void,
    rejected: (error: unknown) => void,
  ): void {
    owner.outstanding += 1;
    this.#stirred.add(owner);
    promise.then(
      (value) => {
        owner.outstanding -= 1;
        if (owner.isAlive) fulfilled(value);
      },
      (error: unknown) => {
        owner.outstanding -= 1;
        if (owner.isAlive) rejected(error);
      },
    );
  }

  /**
   * A feed has something invalidated: these rows, or everything. What was visible before binds once it is acknowledged.
   *
   * @returns whether it is.
   */
  promised(owner: Instance, rows: readonly number[] | undefined, publish: () => Promise<void>): Promise<boolean> {
    const { model, clock } = this;
    // Tags mean others, too.
    model.touched.fill(true);
    const claim = model.claim(owner, [...new Set(rows ?? this.rows.keys())], false);
    const call = this.name();
    this.tell(`${owner.process} has ${claim.rows.join()} at ${claim.versions.join()} invalidated → ${call}`);
    return new Promise((resolve) => {
      const settle = (isAcknowledged: boolean): void => {
        this.tell(`${call} is ${isAcknowledged ? "" : "not "}acknowledged`);
        model.settle(claim, isAcknowledged, clock.now());
        resolve(isAcknowledged);
      };
      this.follow(
        owner,
        publish(),
        () => settle(true),
        (error) => {
          const { code } = error as { code?: unknown };
          if (code !== "ERR_CACHE_TIER") this.break(`${call} failed: ${String(error)}`);
          settle(false);
        },
      );
    });
  }

  /** Somebody who asked at that time, or memory that is looked at then, has a version of a row. */
  served(row: number, version: number, time: number): void {
    const { fed } = this.weather;
    if (fed === 0) return;
    const { tally, database } = this;
    tally.stalest = Math.max(tally.stalest, database.staleness(row, version, time) / fed);
  }

  /** Resolves when chance says so. */
  later(owner: Instance, name: string): Promise<void> {
    return new Promise((resolve) => {
      this.network.add({ kind: "source", name, owner, shard: 0, run: resolve });
    });
  }

  /** The step, done. */
  run(step: Pending): void {
    this.tell(
      `${step.kind} ${step.name} of ${step.owner.process}${this.weather.shards > 1 ? ` at ${step.shard}` : ""}`,
    );
    this.#stirred.add(step.owner);
    step.run();
  }

  /** Lets everything happen that needs nobody else, and looks at what is in memory. */
  async rest(time = 0): Promise<void> {
    await this.clock.advance(time + TICK);
    if (time > 0) for (const instance of this.living) this.#stirred.add(instance);
    for (const instance of this.#stirred) {
      if (!instance.isAlive) continue;
      if (this.model.hasUnproven(instance) && instance.unsent === 0) this.model.delivered(instance, this.clock.now());
      if (this.weather.watched) this.#look(instance);
    }
    this.#stirred.clear();
    this.check();
  }

  /** The oldest version of the row that a reader in this process may be given from memory now. */
  memoryFloor(process: number, row: number, mayBeStale: boolean): number {
    const { maxStaleness, fed } = this.weather;
    const now = this.clock.now();
    let floor = this.model.floor(process, row, mayBeStale);
    if (maxStaleness > 0) floor = Math.max(floor, this.model.floorBefore(now - maxStaleness, row, mayBeStale));
    if (fed > 0 && process < PROCESSES) floor = Math.max(floor, this.database.versionBefore(now - fed - ROUNDING, row));
    return floor;
  }

  #look({ process }: Instance): void {
    for (const [row, { name, peek }] of this.rows.entries()) {
      const value = peek(process);
      if (value === undefined) continue;
      const floor = this.memoryFloor(process, row, false);
      this.served(row, value.version, this.clock.now());
      if (value.row !== name) this.break(`memory of ${process} has ${JSON.stringify(value)} under ${name}`);
      else if (value.version < floor)
        this.break(`memory of ${process} has version ${value.version} of ${name}, older than ${floor}`);
    }
  }
}
