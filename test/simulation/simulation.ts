import { createCache, memory, type Cache, type LoaderContext, type LoadOptions } from "../../src/index.js";
import { chaos, FakeClock, SharedMemory, type Chaos } from "../../src/testing/index.js";
import { Model, type Claim } from "./model.js";
import { Random } from "./random.js";
import { PLAIN, rowsOf, type Aim, type Row, type Value } from "./rows.js";
import { drawWeather, type Weather } from "./weather.js";

/** One thing that can happen next. */
interface Pending {
  readonly kind: "request" | "reply" | "push" | "source";
  readonly name: string;
  run(): void;
}

const PROCESSES = 3;
const ACTIONS = 140;
const HEARTBEAT = 500;
const SOURCE_DOWN = "the source is down";

/** A promise of the caches was broken. The message has the seed and everything that happened. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What a run did. */
export interface Tally {
  readonly steps: number;
  readonly reads: number;
  readonly loads: number;
  readonly writes: number;
}

/**
 * Some caches, one shared tier, and chance: which request arrives next, which answer, which push, when time passes, what is
 * lost, what a caller asks for. The caches and the shared tier are the real ones; only their clock and the order of
 * things are the simulation's, so a seed says everything about a run.
 *
 * @throws Violation
 */
export async function simulate(seed: number): Promise<Tally> {
  const world = new World(seed);
  try {
    return await world.run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    throw new Violation(`seed ${seed}: ${error.message}\n${world.story()}`);
  }
}

class World {
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #clock = new FakeClock();
  readonly #server: SharedMemory;
  readonly #caches: Cache[];
  readonly #connections: Chaos[];
  readonly #model: Model;
  readonly #rows: readonly Row[];
  readonly #aims: readonly Aim[];
  readonly #story: string[] = [];
  readonly #loading = new Map<string, number>();
  #pending: Pending[] = [];
  #dead = new Set<number>();
  #outstanding = 0;
  #broken: Violation | undefined;
  #calls = 0;
  #steps = 0;
  #reads = 0;
  #loads = 0;
  #writes = 0;

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.#weather = drawWeather(random);
    this.#server = new SharedMemory({ clock: this.#clock, schedule: (step) => this.#pending.push(step) });
    this.#connections = Array.from({ length: PROCESSES }, () => chaos(this.#server.factory()));
    this.#caches = this.#connections.map((connection) => this.#makeCache(connection.factory));
    const { rows, aims } = rowsOf((process) => this.#caches[process] as Cache);
    this.#rows = rows;
    this.#aims = aims;
    this.#model = new Model(this.#rows.length, PROCESSES + 1);
  }

  story(): string {
    return `${JSON.stringify(this.#weather)}\n${this.#story.join("\n")}`;
  }

  async run(): Promise<Tally> {
    for (let action = 0; action < ACTIONS; action += 1) {
      this.#act();
      await this.#rest();
    }
    await this.#calm();
    await this.#judgeCalm();
    await this.#close();
    return { steps: this.#steps, reads: this.#reads, loads: this.#loads, writes: this.#writes };
  }

  #makeCache(factory: ReturnType<SharedMemory["factory"]>): Cache {
    return createCache({
      name: "simulation",
      tiers: [memory(), factory],
      clock: this.#clock,
      random: () => this.#random.next(),
      ttl: "5s",
      staleWhileRevalidate: this.#weather.stale,
      staleIfError: this.#weather.stale,
      hardTimeout: "10m",
      shared: {
        heartbeat: HEARTBEAT,
        breakerFailures: this.#weather.breakerFailures,
        breakerCooldown: "1s",
        leaseTtl: "2s",
      },
    });
  }

  /** Something happens. */
  #act(): void {
    this.#steps += 1;
    const { pushes, calls, server, source } = this.#weather;
    const waiting = this.#pending.length;
    const choice = this.#random.weighted([
      waiting === 0 ? 0 : 10 + waiting,
      pushes && waiting > 0 ? 1.5 : 0,
      calls ? 0.7 : 0,
      server ? 0.3 : 0,
      6,
      3,
      2.5,
      source ? 1 : 0,
    ]);
    switch (choice) {
      case 0:
        return this.#runOne();
      case 1:
        return this.#disturbPush();
      case 2:
        return this.#disturbCalls();
      case 3:
        return this.#disturbServer();
      case 4:
        return this.#startRead();
      case 5:
        return this.#startInvalidation();
      case 6:
        return this.#passTime();
      default:
        this.#failing = !this.#failing;
    }
  }

  #failing = false;
  #time = 0;

  #tell(what: string): void {
    this.#story.push(`${String(this.#clock.now()).padStart(6)}  ${what}`);
  }

  #take(kinds?: readonly Pending["kind"][]): Pending | undefined {
    const fit = this.#pending.filter(({ kind }) => kinds === undefined || kinds.includes(kind));
    if (fit.length === 0) return undefined;
    const chosen = this.#random.pick(fit);
    const taken =
      this.#weather.reordered || chosen.kind === "source"
        ? chosen
        : (fit.find(({ kind }) => kind === chosen.kind) as Pending);
    this.#pending.splice(this.#pending.indexOf(taken), 1);
    return taken;
  }

  #runOne(): void {
    const step = this.#take();
    if (step === undefined) return;
    this.#tell(`${step.kind} ${step.name}`);
    step.run();
  }

  #disturbPush(): void {
    const step = this.#take(["push"]);
    if (step === undefined) return;
    if (this.#random.chance(0.5)) {
      this.#tell(`lost: push ${step.name}`);
      return;
    }
    this.#tell(`doubled: push ${step.name}`);
    step.run();
    this.#pending.push(step);
  }

  #disturbCalls(): void {
    const process = this.#random.below(PROCESSES);
    const connection = this.#connections[process] as Chaos;
    switch (this.#random.weighted([3, 2, 2, 3, 0.3])) {
      case 0: {
        const step = this.#take(["request", "reply"]);
        if (step !== undefined) this.#tell(`lost: ${step.kind} ${step.name}`);
        return;
      }
      case 1:
        this.#tell(`${process} hangs`);
        return connection.hang();
      case 2:
        this.#tell(`${process} is refused`);
        return connection.fail();
      case 3:
        if (this.#dead.has(process)) return;
        this.#tell(`${process} heals`);
        return connection.heal();
      default:
        if (this.#dead.size > 0) return;
        this.#tell(`${process} dies`);
        this.#dead.add(process);
        connection.hang();
    }
  }

  #disturbServer(): void {
    if (this.#random.chance(0.5)) {
      this.#tell("the log is trimmed");
      this.#server.trimLog(this.#random.below(3));
    } else {
      this.#tell("the server restarts empty");
      this.#server.flush();
      for (const row of this.#model.touched.keys()) this.#model.touched[row] = true;
    }
  }

  #passTime(): void {
    this.#time = this.#random.pick([
      1,
      1,
      5,
      20,
      100,
      this.#weather.calls ? 300 : 20,
      this.#weather.calls ? 1_200 : 50,
    ]);
    this.#tell(`${this.#time} ms pass`);
  }

  #living(): number {
    for (;;) {
      const process = this.#random.below(PROCESSES);
      if (!this.#dead.has(process)) return process;
    }
  }

  #startRead(): void {
    this.#reads += 1;
    const process = this.#living();
    const row = this.#random.below(this.#rows.length);
    switch (this.#random.weighted([6, 3, 1, 1])) {
      case 0:
        return this.#getOrLoad(process, row, this.#random.chance(0.15) ? { waitTimeout: 50 } : {});
      case 1:
        return this.#get(process, row);
      case 2:
        this.#model.touched[row] = true;
        return this.#getOrLoad(process, row, { forceFresh: true });
      default:
        return this.#getOrLoadMany(process);
    }
  }

  #getOrLoad(process: number, row: number, options: LoadOptions): void {
    const { name, getOrLoad } = this.#rows[row] as Row;
    const call = (this.#calls += 1);
    const floor = this.#model.floor(process, row, this.#weather.stale > 0);
    this.#tell(`${process} getOrLoad ${name} ${JSON.stringify(options)} → #${call}, ${floor} or newer`);
    this.#follow(
      process,
      getOrLoad(process, (context) => this.#load(process, [row], context).then(([value]) => value as Value), options),
      (value) => this.#check(`#${call}`, row, value, floor),
      (error) => this.#excuse(`#${call}`, error),
    );
  }

  #getOrLoadMany(process: number): void {
    const rows = [...PLAIN.keys()].filter(() => this.#random.chance(0.6));
    const floors = rows.map((row) => this.#model.floor(process, row, this.#weather.stale > 0));
    const call = (this.#calls += 1);
    this.#tell(`${process} getOrLoadMany ${rows.join()} → #${call}`);
    const tagsOf = (row: number): readonly string[] => (this.#rows[row] as Row).tags;
    this.#follow(
      process,
      (this.#caches[process] as Cache).getOrLoadMany<number, Value>(
        rows,
        (row) => (this.#rows[row] as Row).name,
        (missing, context) => {
          for (const row of missing) context.tags(row, ...tagsOf(row));
          return this.#load(process, missing);
        },
      ),
      (values) => {
        for (const [at, row] of rows.entries()) this.#check(`#${call}`, row, values[at], floors[at] as number);
      },
      (error) => this.#excuse(`#${call}`, error),
    );
  }

  #get(process: number, row: number): void {
    const { name, get, peek } = this.#rows[row] as Row;
    const call = (this.#calls += 1);
    const fromShared = peek(process) === undefined;
    const floor = Math.max(
      this.#model.floor(process, row, false),
      fromShared ? this.#model.sharedFloor(row, false) : 0,
    );
    this.#tell(`${process} get ${name} → #${call}, ${floor} or newer`);
    this.#follow(
      process,
      get(process),
      (value) => {
        if (value !== undefined) this.#check(`#${call}`, row, value, floor);
        else this.#tell(`#${call} gives nothing`);
      },
      (error) => this.#break(`#${call} get failed: ${String(error)}`),
    );
  }

  /** The source: sees the rows now, answers later. */
  #load(process: number, rows: readonly number[], context?: LoaderContext): Promise<Value[]> {
    this.#loads += 1;
    const names = rows.map((row) => (this.#rows[row] as Row).name);
    this.#tell(`${process} loads ${names.join()} at ${rows.map((row) => this.#model.versions[row]).join()}`);
    for (const row of rows) this.#noteLoad(process, row);
    const values = rows.map((row, at): Value => ({
      row: names[at] as string,
      version: this.#model.versions[row] as number,
    }));
    const fails = this.#failing;
    return new Promise((resolve, reject) => {
      this.#pending.push({
        kind: "source",
        name: `${fails ? "fails" : "answers"} ${process} with ${values.map(({ row, version }) => `${row}:${version}`).join()}`,
        run: () => {
          for (const row of rows) this.#loading.delete((this.#rows[row] as Row).name);
          // Named at the end only: the position the entry carries is older.
          if (context !== undefined) for (const row of rows) context.tags(...(this.#rows[row] as Row).tags);
          if (fails) reject(new Error(SOURCE_DOWN));
          else resolve(values);
        },
      });
    });
  }

  /** One load at a time, cluster-wide, as long as nothing was invalidated and the tier has not failed anybody. */
  #noteLoad(process: number, row: number): void {
    const { name } = this.#rows[row] as Row;
    const other = this.#loading.get(name);
    this.#loading.set(name, process);
    // The versions of the entity have an entry each.
    if (other === undefined || row >= PLAIN.length || this.#model.touched[row] === true || this.#dead.size > 0) return;
    if (this.#caches.some((cache) => (cache.stats().shared?.failures ?? 0) > 0)) return;
    this.#break(`${process} loads ${name} while ${other} still does`);
  }

  #startInvalidation(): void {
    const process = this.#living();
    if (this.#random.chance(0.3)) return this.#writeThrough(process);
    this.#writes += 1;
    const aim = this.#random.pick(this.#aims);
    const soft = this.#random.chance(0.25);
    const claim = this.#model.commit(aim.rows, soft);
    const call = (this.#calls += 1);
    this.#tell(
      `${process} commits ${aim.rows.join()} at ${claim.versions.join()} and invalidates ${aim.name} ${soft ? "softly " : ""}→ #${call}`,
    );
    this.#follow(
      process,
      aim.run(process, soft ? "soft" : "hard"),
      () => this.#settle(process, claim, `#${call}`),
      (error) => this.#unacknowledged(process, claim, `#${call}`, error),
    );
  }

  #writeThrough(process: number): void {
    this.#writes += 1;
    const row = this.#random.below(this.#rows.length);
    const { name, writeThrough } = this.#rows[row] as Row;
    const call = (this.#calls += 1);
    this.#model.touched[row] = true;
    this.#tell(`${process} writes through ${name} → #${call}`);
    let claim: Claim | undefined;
    const write = async (): Promise<Value> => {
      await this.#later(`#${call} commits ${name}`);
      claim = this.#model.commit([row], false);
      await this.#later(`#${call} has committed ${name} at ${claim.versions.join()}`);
      return { row: name, version: claim.versions[0] as number };
    };
    this.#follow(
      process,
      writeThrough(process, write),
      () => {
        if (claim !== undefined) this.#settle(process, claim, `#${call}`);
      },
      (error) => this.#break(`#${call} writeThrough failed: ${String(error)}`),
    );
  }

  #later(name: string): Promise<void> {
    return new Promise((resolve) => {
      this.#pending.push({ kind: "source", name, run: resolve });
    });
  }

  #settle(process: number, claim: Claim, call: string): void {
    this.#tell(`${call} is acknowledged`);
    this.#model.settle(process, claim, this.#unsent(process) === 0);
  }

  #unacknowledged(process: number, claim: Claim, call: string, error: unknown): void {
    if ((error as { code?: unknown }).code !== "ERR_CACHE_TIER") this.#break(`${call} failed: ${String(error)}`);
    this.#tell(`${call} is not acknowledged`);
    this.#model.settle(process, claim, false);
  }

  #unsent(process: number): number {
    return this.#caches[process]?.stats().shared?.unsent ?? 0;
  }

  #excuse(call: string, error: unknown): void {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (code !== "ERR_CACHE_TIMEOUT" && message !== SOURCE_DOWN) this.#break(`${call} failed: ${String(error)}`);
    this.#tell(`${call} fails: ${String(message)}`);
  }

  #check(call: string, row: number, value: Value | undefined, floor: number): void {
    const { name } = this.#rows[row] as Row;
    this.#tell(`${call} gives ${value?.row}:${value?.version}`);
    if (value?.row !== name) this.#break(`${call} asked for ${name} and got ${JSON.stringify(value)}`);
    else if (value.version < floor) this.#break(`${call} got version ${value.version} of ${name}, older than ${floor}`);
  }

  #break(what: string): void {
    this.#tell(`BROKEN: ${what}`);
    this.#broken ??= new Violation(what);
  }

  /** A dead process's promises are nobody's. */
  #follow<T>(
    process: number,
    promise: Promise<T>,
    fulfilled: (value: T) => void,
    rejected: (error: unknown) => void,
  ): void {
    this.#outstanding += 1;
    promise.then(
      (value) => {
        this.#outstanding -= 1;
        if (!this.#dead.has(process)) fulfilled(value);
      },
      (error: unknown) => {
        this.#outstanding -= 1;
        if (!this.#dead.has(process)) rejected(error);
      },
    );
  }

  /** Lets everything happen that needs nobody else, and looks at what is in memory. */
  async #rest(): Promise<void> {
    const time = this.#time;
    this.#time = 0;
    await this.#clock.advance(time);
    for (let process = 0; process < PROCESSES; process += 1) {
      if (this.#dead.has(process)) continue;
      if (this.#unsent(process) === 0) this.#model.delivered(process);
      if (this.#weather.watched) this.#look(process);
    }
    if (this.#broken !== undefined) throw this.#broken;
  }

  #look(process: number): void {
    for (const [row, { name, peek }] of this.#rows.entries()) {
      const value = peek(process);
      if (value === undefined) continue;
      const floor = this.#model.floor(process, row, false);
      if (value.row !== name) this.#break(`memory of ${process} has ${JSON.stringify(value)} under ${name}`);
      else if (value.version < floor)
        this.#break(`memory of ${process} has version ${value.version} of ${name}, older than ${floor}`);
    }
  }

  /** No more trouble: everything is delivered in order, heartbeats pass, and every promise is kept. */
  async #calm(): Promise<void> {
    this.#tell("calm");
    this.#failing = false;
    for (const [process, connection] of this.#connections.entries()) if (!this.#dead.has(process)) connection.heal();
    const quiet = (): boolean =>
      this.#outstanding === 0 &&
      this.#pending.length === 0 &&
      [0, 1, 2].every((process) => this.#dead.has(process) || this.#unsent(process) === 0);
    // The longest that anything may take by itself: a lease, a breaker, some timeouts and heartbeats after one another.
    for (let turn = 0; turn < 60 && !(turn > 12 && quiet()); turn += 1) {
      await this.#drain();
      this.#time = HEARTBEAT / 2;
      await this.#rest();
    }
    await this.#drain();
    for (const process of this.#connections.keys()) {
      if (!this.#dead.has(process) && this.#unsent(process) > 0)
        throw new Violation(`${process} never sends what was not acknowledged`);
    }
    if (this.#dead.size === 0 && this.#outstanding > 0) throw new Violation(`${this.#outstanding} calls never end`);
  }

  async #drain(): Promise<void> {
    while (this.#pending.length > 0) {
      const steps = this.#pending;
      this.#pending = [];
      for (const step of steps) {
        this.#tell(`${step.kind} ${step.name}`);
        step.run();
        await this.#rest();
      }
    }
  }

  /** No tier holds anything older than the last acknowledged invalidation; somebody who comes new gets nothing older either. */
  async #judgeCalm(): Promise<void> {
    const late = this.#caches.push(this.#makeCache(this.#server.factory())) - 1;
    for (let process = 0; process <= late; process += 1) {
      if (this.#dead.has(process)) continue;
      for (const [row, { name, peek }] of this.#rows.entries()) {
        const value = peek(process);
        const floor = this.#model.sharedFloor(row, false);
        if (value !== undefined && value.version < floor)
          throw new Violation(
            `at rest, memory of ${process} has version ${value.version} of ${name}, older than ${floor}`,
          );
        this.#get(process, row);
      }
      await this.#rest();
      await this.#drain();
    }
  }

  async #close(): Promise<void> {
    for (const connection of this.#connections) connection.heal();
    const closing = Promise.all(this.#caches.map((cache) => cache.close()));
    for (let turn = 0; turn < 12; turn += 1) {
      for (const step of this.#pending.splice(0)) step.run();
      await this.#clock.advance(1_000);
    }
    await closing;
  }
}
