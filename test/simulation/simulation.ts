import { Callers } from "./callers.js";
import type { Instance } from "./instance.js";
import { LockUsers } from "./locks.js";
import type { Claim } from "./model.js";
import { Random } from "./random.js";
import { Trouble } from "./trouble.js";
import { drawWeather, HEARTBEAT } from "./weather.js";
import { PROCESSES, Violation, World, type Tally } from "./world.js";

export { Violation, type Tally } from "./world.js";

const ACTIONS = 140;
/** Of which a feed's own conversations take many. */
const FED_ACTIONS = 400;
/**
 * Halves of a heartbeat until everything has come to rest, at most: the longest that anything may take by itself is a
 * lease, a breaker, some timeouts and heartbeats after one another.
 */
const CALM_TURNS = 60;
/** Of so many runs, one closes its caches in the end. */
const CLOSED = 8;

/**
 * Some caches, one shared tier, and chance: which request arrives next, which answer, which push, when time passes, what is
 * lost, what a caller asks for. A seed and the name of a weather say everything about a run.
 *
 * @throws Violation with the seed and everything that happened.
 */
export async function simulate(seed: number, weather: string = "mixed"): Promise<Tally> {
  try {
    return await new Run(seed, weather, false).run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
  }
  // Once more, for the story: telling it costs too much to do it for every run.
  const { error, story } = await recorded(seed, weather);
  throw new Violation(`seed ${seed}, weather ${weather}: ${error?.message ?? "not broken again"}\n${story}`);
}

/** As `simulate`, with the story of the run whether something was broken or not. */
export async function recorded(
  seed: number,
  weather: string,
): Promise<{ error: Violation | undefined; story: string }> {
  const run = new Run(seed, weather, true);
  try {
    await run.run();
    return { error: undefined, story: run.story };
  } catch (error) {
    if (error instanceof Violation) return { error, story: run.story };
    throw error;
  }
}

class Run {
  readonly #seed: number;
  readonly #world: World;
  readonly #callers: Callers;
  readonly #locks: LockUsers;
  readonly #trouble: Trouble;

  constructor(seed: number, weather: string, isRecorded: boolean) {
    const random = new Random(seed);
    this.#seed = seed;
    this.#world = new World(random, drawWeather(random, weather), isRecorded);
    this.#callers = new Callers(this.#world);
    this.#locks = new LockUsers(this.#world);
    this.#trouble = new Trouble(this.#world, this.#locks);
  }

  get story(): string {
    return this.#world.story;
  }

  async run(): Promise<Tally> {
    const { calms, fed } = this.#world.weather;
    const actions = fed > 0 ? FED_ACTIONS : ACTIONS;
    // Until one of them leads and the others know how far it is: trouble before that finds nothing to spoil.
    if (fed > 0) await this.#turns(10, fed / 5);
    for (let calm = 0; calm < calms; calm += 1) {
      for (let action = 0; action < actions / calms; action += 1) {
        this.#world.tally.steps += 1;
        await this.#world.rest(this.#act());
      }
      await this.#calm();
      await this.#judge();
    }
    if (this.#seed % CLOSED === 0) await this.#close();
    for (const instance of this.#world.living) instance.die();
    return this.#world.tally;
  }

  /** Something happens. @returns milliseconds that pass. */
  #act(): number {
    const { network, random } = this.#world;
    const { reads, writes, time, pushes, calls, flaky, partitions, crashes, server, failover, source, locks, fed } =
      this.#world.weather;
    const waiting = network.size;
    const choice = random.weighted([
      waiting === 0 ? 0 : 10 + waiting,
      reads,
      writes,
      time,
      pushes && waiting > 0 ? 1.5 : 0,
      calls ? 0.7 : 0,
      partitions ? 0.7 : 0,
      crashes ? 0.5 : 0,
      server ? 0.3 : 0,
      failover ? 0.4 : 0,
      locks ? 2 : 0,
      source ? 1 : 0,
      flaky ? 3 : 0,
      fed > 0 ? 0.4 : 0,
    ]);
    switch (choice) {
      case 0:
        this.#proceed();
        break;
      case 1:
        this.#callers.read();
        break;
      case 2:
        this.#callers.write();
        break;
      case 3:
        return this.#passTime();
      case 4:
        this.#trouble.pushes();
        break;
      case 5:
        this.#trouble.calls();
        break;
      case 6:
        this.#trouble.partitions();
        break;
      case 7:
        this.#trouble.crashes();
        break;
      case 8:
        this.#trouble.server();
        break;
      case 9:
        this.#trouble.failover();
        break;
      case 10:
        this.#locks.take();
        break;
      case 11:
        this.#world.failing = !this.#world.failing;
        break;
      case 12:
        this.#trouble.calls();
        break;
      default:
        this.#trouble.feed();
    }
    return 0;
  }

  #proceed(): void {
    const taken = this.#world.network.take();
    if (taken === undefined) return;
    const { step, isLost } = taken;
    if (isLost) this.#world.tell(`lost in the cut: ${step.kind} ${step.name} of ${step.owner.process}`);
    else this.#world.run(step);
  }

  #passTime(): number {
    const { random, weather } = this.#world;
    const slow = weather.calls || weather.partitions || weather.crashes || weather.locks;
    const time = random.pick([1, 1, 5, 20, 100, slow ? 300 : 20, slow ? 1_200 : 50]);
    this.#world.tell(`${time} ms pass`);
    return time;
  }

  /** No more trouble: everything is delivered in order, heartbeats pass, and every promise is kept. */
  async #calm(): Promise<void> {
    const { weather, database } = this.#world;
    this.#trouble.end();
    const began = this.#world.clock.now();
    const isQuiet = (): boolean =>
      this.#world.network.size === 0 &&
      this.#world.living.every(
        (instance) =>
          instance.outstanding === 0 &&
          instance.unsent === 0 &&
          instance.heardAt > began &&
          (weather.fed === 0 || instance.fedAt > began),
      );
    // Three times in a row: what was heard may have to be told again.
    for (let turn = 0, quiet = 0; turn < CALM_TURNS && quiet < 3; turn += 1) {
      await this.#drain();
      quiet = isQuiet() ? quiet + 1 : 0;
      await this.#world.rest(HEARTBEAT / 2);
    }
    await this.#drain();
    // So that the feeds vouch for what memory holds.
    if (weather.fed > 0) await this.#turns(4, weather.fed / 5);
    if (!database.isQuiet) this.#world.break("transactions never end");
    for (const { process, unsent, outstanding, fedAt } of this.#world.living) {
      if (weather.fed > 0 && fedAt < began) this.#world.break(`the feed of ${process} is never complete again`);
      if (unsent > 0) this.#world.break(`${process} never sends what was not acknowledged`);
      if (outstanding > 0) this.#world.break(`${outstanding} calls of ${process} never end`);
    }
    this.#world.check();
    this.#world.model.calmed((claim) => this.#isKnown(claim));
  }

  /** Whether somebody lives who knew of it. */
  #isKnown({ owner, epoch, position }: Claim): boolean {
    if (owner.isAlive) return true;
    return position !== undefined && this.#world.living.some(({ heard }) => heard.has(`${epoch}:${position}`));
  }

  /** So many times: time passes, and everything is delivered. */
  async #turns(count: number, time: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) {
      await this.#world.rest(time);
      await this.#drain();
    }
  }

  async #drain(): Promise<void> {
    const { network } = this.#world;
    while (network.size > 0) {
      for (const step of network.takeAll()) {
        this.#world.run(step);
        await this.#world.rest();
      }
    }
  }

  /** No tier holds anything older than the last acknowledged invalidation; somebody who comes new gets nothing older either. */
  async #judge(): Promise<void> {
    const newcomer = this.#world.start(PROCESSES);
    const { model, rows, weather } = this.#world;
    for (const instance of this.#world.living) {
      for (const [row, { name, peek }] of rows.entries()) {
        const value = peek(instance.process);
        const floor = weather.fed > 0 ? (model.versions[row] as number) : model.sharedFloor(row, false);
        if (value !== undefined && value.version < floor)
          this.#world.break(
            `at rest, memory of ${instance.process} has version ${value.version} of ${name}, older than ${floor}`,
          );
        this.#callers.get(instance, row, floor);
      }
      await this.#world.rest();
      await this.#drain();
    }
    this.#world.leave(newcomer);
  }

  async #close(): Promise<void> {
    const { living, network, clock } = this.#world;
    const closing = Promise.all(living.map(({ cache }: Instance) => cache.close()));
    for (let turn = 0; turn < 12; turn += 1) {
      for (const step of network.takeAll()) step.run();
      await clock.advance(1_000);
    }
    await closing;
  }
}
