import type { LoaderContext, LoadOptions } from "../../src/index.js";
import type { Instance } from "./instance.js";
import type { Claim } from "./model.js";
import { FIRST_SET, isItem, MANNERS, PLAIN, SET, type Row, type Value } from "./rows.js";
import type { World } from "./world.js";

const SOURCE_DOWN = "the source is down";
/** Milliseconds: twice what an answer is waited for. */
const LEAST_LEASE = 500;
/** What a read may fail with by itself. */
const EXCUSES: readonly unknown[] = ["ERR_CACHE_TIMEOUT", "ERR_CACHE_OVERLOADED"];

/** What a reader who asked at a time may be given. */
interface Expected {
  /** The oldest version. */
  readonly floor: () => number;
  readonly time: number;
}

/** Those who use the caches, and hold what they get against the model. */
export class Callers {
  readonly #world: World;
  /** Of each row, the life of a process whose load of it began last, while one is under way. */
  readonly #loading = new Map<string, Instance>();
  /** Who called last, for what. */
  #lastOwner: Instance | undefined;
  #lastRow = 0;
  /** Rows that somebody sets now, or whose set may still be on its way. */
  readonly #set = new Map<number, { readonly owner: Instance; isUnknown: boolean }>();

  constructor(world: World) {
    this.#world = world;
  }

  read(): void {
    const { random, tally, rows, model, weather } = this.#world;
    tally.reads += 1;
    const owner = this.#pickOwner();
    const row = this.#pickRow(rows.length);
    switch (random.weighted([6, 3, 1, 1])) {
      case 0:
        return this.#getOrLoad(owner, row, {
          ...(random.chance(0.15) ? { waitTimeout: 50 } : {}),
          ...(weather.strict && random.chance(0.5) ? { strict: true } : {}),
        });
      case 1:
        return this.get(owner, row);
      case 2:
        model.touched[row] = true;
        return this.#getOrLoad(owner, row, { forceFresh: true });
      default:
        return this.#getOrLoadMany(owner);
    }
  }

  write(): void {
    const { random, tally, weather } = this.#world;
    tally.writes += 1;
    const owner = this.#pickOwner();
    if (weather.fed > 0) return this.#transact(owner);
    switch (random.weighted([6, 3, 1.5])) {
      case 0:
        return this.#invalidate(owner);
      case 1:
        return this.#writeThrough(owner);
      default:
        return this.#setRows(owner);
    }
  }

  #pickOwner(): Instance {
    const { random, living, weather } = this.#world;
    const last = this.#lastOwner;
    if (last?.isAlive !== true || !random.chance(weather.stays)) this.#lastOwner = random.pick(living);
    return this.#lastOwner as Instance;
  }

  #pickRow(end: number): number {
    if (this.#lastRow >= end || !this.#world.random.chance(this.#world.weather.stays))
      this.#lastRow = this.#world.pickRow(end);
    return this.#lastRow;
  }

  /** @param least the oldest version that it may be given, whatever else is known. */
  get(owner: Instance, row: number, least = 0): void {
    const { rows, model } = this.#world;
    const { name, get, peek } = rows[row] as Row;
    const { process } = owner;
    const call = this.#world.name();
    const fromShared = peek(process) === undefined;
    const expected = this.#expect(() =>
      Math.max(least, this.#world.memoryFloor(process, row, false), fromShared ? model.sharedFloor(row, false) : 0),
    );
    this.#world.tell(`${process} get ${name} → ${call}, ${expected.floor()} or newer`);
    this.#world.follow(
      owner,
      get(process),
      (value) => {
        if (value !== undefined) this.#check(call, row, value, expected);
        else this.#world.tell(`${call} gives nothing`);
      },
      (error) => this.#world.break(`${call} get failed: ${String(error)}`),
    );
  }

  #getOrLoad(owner: Instance, row: number, options: LoadOptions): void {
    const { name, getOrLoad } = this.#world.rows[row] as Row;
    const { process } = owner;
    const call = this.#world.name();
    const { model, weather } = this.#world;
    const mayBeStale = weather.stale > 0;
    const expected = this.#expect(() =>
      Math.max(
        this.#world.memoryFloor(process, row, mayBeStale),
        options.strict === true ? model.sharedFloor(row, mayBeStale) : 0,
      ),
    );
    this.#world.tell(`${process} getOrLoad ${name} ${JSON.stringify(options)} → ${call}, ${expected.floor()} or newer`);
    const load = async (context: LoaderContext): Promise<Value> => {
      const [value] = await this.#load(owner, [row], () => context.signal, context);
      return value as Value;
    };
    this.#world.follow(
      owner,
      getOrLoad(process, load, options),
      (value) => this.#check(call, row, value, expected),
      (error) => this.#excuse(call, error),
    );
  }

  #getOrLoadMany(owner: Instance): void {
    const { random, rows: all, weather } = this.#world;
    const rows = [...PLAIN.keys()].filter(() => random.chance(0.6));
    const expected = rows.map((row) =>
      this.#expect(() => this.#world.memoryFloor(owner.process, row, weather.stale > 0)),
    );
    const call = this.#world.name();
    this.#world.tell(`${owner.process} getOrLoadMany ${rows.join()} → ${call}`);
    const tagsOf = (row: number): readonly string[] => (all[row] as Row).tags;
    this.#world.follow(
      owner,
      owner.cache.getOrLoadMany<number, Value>(
        rows,
        (row) => (all[row] as Row).name,
        (missing, context) => {
          for (const row of missing) context.tags(row, ...tagsOf(row));
          return this.#load(owner, missing, () => context.signal);
        },
      ),
      (values) => {
        for (const [at, row] of rows.entries()) this.#check(call, row, values[at], expected[at] as Expected);
      },
      (error) => this.#excuse(call, error),
    );
  }

  /** Of a reader who starts now. A failover before its end lowers the floor: what is lost binds nobody. */
  #expect(ofNow: () => number): Expected {
    const { model, clock } = this.#world;
    const { epoch } = model;
    const floor = ofNow();
    return { floor: () => (model.epoch === epoch ? floor : Math.min(floor, ofNow())), time: clock.now() };
  }

  /** The source: sees the rows now, answers later. */
  #load(
    owner: Instance,
    rows: readonly number[],
    signal: () => AbortSignal,
    context?: LoaderContext,
  ): Promise<Value[]> {
    const { model, network, tally, failing: fails, rows: all, weather } = this.#world;
    tally.loads += 1;
    const values = rows.map((row): Value => ({
      row: (all[row] as Row).name,
      version: model.versions[row] as number,
    }));
    const what = values.map(({ row, version }) => `${row}:${version}`).join();
    this.#world.tell(`${owner.process} loads ${what}`);
    for (const row of rows) this.#noteLoad(owner, row);
    const loading = { rows, signal };
    owner.loading.add(loading);
    if (owner.loads > weather.concurrency)
      this.#world.break(`${owner.process} has ${owner.loads} loads at once, ${weather.concurrency} allowed`);
    return new Promise((resolve, reject) => {
      network.add({
        kind: "source",
        name: `${fails ? "fails" : "answers"} with ${what}`,
        owner,
        shard: 0,
        run: () => {
          owner.loading.delete(loading);
          for (const { row } of values) this.#loading.delete(row);
          // Named at the end only: the position the entry carries is older.
          if (context !== undefined) for (const row of rows) context.tags(...(all[row] as Row).tags);
          if (fails) reject(new Error(SOURCE_DOWN));
          else resolve(values);
        },
      });
    });
  }

  /** One load at a time, cluster-wide, as long as nothing was invalidated and the tier has not failed anybody. */
  #noteLoad(owner: Instance, row: number): void {
    const { name } = this.#world.rows[row] as Row;
    const other = this.#loading.get(name);
    this.#loading.set(name, owner);
    if (other === undefined || isItem(row) || this.#world.model.touched[row] === true || this.#world.isTroubled) return;
    // A lease that short runs out before its holder could know of a renewal that is late.
    if (this.#world.weather.leaseTtl < LEAST_LEASE) return;
    if (this.#world.living.some(({ cache }) => (cache.stats().shared?.failures ?? 0) > 0)) return;
    this.#world.break(`${owner.process} loads ${name} while ${other.process} still does`);
  }

  /** Writes rows without a word to any cache. */
  #transact(owner: Instance): void {
    const { random, database, rows } = this.#world;
    const wanted = Array.from({ length: random.pick([1, 1, 2, 3]) }, () => this.#pickRow(rows.length));
    const free = [...new Set(wanted)].filter((row) => !database.isLocked(row));
    if (free.length === 0) return;
    const { xid } = database.begin(owner, free, random.below(MANNERS));
    this.#world.tell(`transaction ${xid} writes ${free.join()}`);
  }

  #invalidate(owner: Instance): void {
    const { random, model, aims, weather } = this.#world;
    const same = random.chance(weather.stays) ? aims.filter(({ rows }) => rows.includes(this.#lastRow)) : [];
    const aim = random.pick(same.length > 0 ? same : aims);
    const soft = random.chance(0.25);
    // Writers of those rows wait for one another, so what they set is the newest there is.
    const rows = aim.rows.filter((row) => row < FIRST_SET || this.#isFree(row));
    const claim = model.commit(owner, rows, soft);
    const call = this.#world.name();
    this.#world.tell(
      `${owner.process} commits ${rows.join()} at ${claim.versions.join()} and invalidates ${aim.name} ${soft ? "softly " : ""}→ ${call}`,
    );
    this.#world.follow(
      owner,
      aim.run(owner.process, soft ? "soft" : "hard"),
      (result) => {
        if (this.#world.weather.shards === 1) claim.position = positionOf(result);
        this.#settle(claim, call, true);
      },
      (error) => this.#unacknowledged(claim, call, error),
    );
  }

  #writeThrough(owner: Instance): void {
    const { rows, model } = this.#world;
    const row = this.#pickRow(FIRST_SET);
    const { name, writeThrough } = rows[row] as Row;
    const call = this.#world.name();
    model.touched[row] = true;
    this.#world.tell(`${owner.process} writes through ${name} → ${call}`);
    let claim: Claim | undefined;
    const write = async (): Promise<Value> => {
      await this.#world.later(owner, `${call} commits ${name}`);
      claim = model.commit(owner, [row], false);
      await this.#world.later(owner, `${call} has committed ${name} at ${claim.versions.join()}`);
      return { row: name, version: claim.versions[0] as number };
    };
    this.#world.follow(
      owner,
      writeThrough(owner.process, write),
      () => {
        // It may have had to invalidate instead, and that may not have been acknowledged.
        if (claim !== undefined) this.#settle(claim, call, owner.unsent === 0);
      },
      (error) => this.#world.break(`${call} writeThrough failed: ${String(error)}`),
    );
  }

  #setRows(owner: Instance): void {
    const { random, rows, model } = this.#world;
    const free = [...SET.keys()].map((at) => FIRST_SET + at).filter((row) => this.#isFree(row));
    const chosen = free.filter(() => random.chance(0.7));
    if (chosen.length === 0) return;
    const claim = model.commit(owner, chosen, false);
    const entries = chosen.map((row, at) => {
      const { name } = rows[row] as Row;
      return [name, { row: name, version: claim.versions[at] as number }] as const;
    });
    const set = { owner, isUnknown: false };
    for (const row of chosen) this.#set.set(row, set);
    const call = this.#world.name();
    this.#world.tell(
      `${owner.process} sets ${entries.map(([, value]) => `${value.row}:${value.version}`).join()} → ${call}`,
    );
    this.#world.follow(
      owner,
      owner.cache.setMany(entries),
      () => {
        for (const row of chosen) this.#set.delete(row);
        this.#settle(claim, call, true);
      },
      (error) => {
        set.isUnknown = true;
        this.#unacknowledged(claim, call, error);
      },
    );
  }

  /** Whether the row may be written: no `set` of it can arrive any more. */
  #isFree(row: number): boolean {
    const set = this.#set.get(row);
    if (set === undefined) return true;
    if (set.owner.isAlive && !set.isUnknown) return false;
    if (this.#world.network.has("request", "put")) return false;
    this.#set.delete(row);
    return true;
  }

  #settle(claim: Claim, call: string, acknowledged: boolean): void {
    this.#world.tell(`${call} is acknowledged`);
    this.#world.model.settle(claim, acknowledged, this.#world.clock.now());
  }

  #unacknowledged(claim: Claim, call: string, error: unknown): void {
    if (codeOf(error) !== "ERR_CACHE_TIER") this.#world.break(`${call} failed: ${String(error)}`);
    this.#world.tell(`${call} is not acknowledged`);
    this.#world.model.settle(claim, false, this.#world.clock.now());
  }

  #excuse(call: string, error: unknown): void {
    const { message } = error as { message?: unknown };
    if (!EXCUSES.includes(codeOf(error)) && message !== SOURCE_DOWN)
      this.#world.break(`${call} failed: ${String(error)}`);
    this.#world.tell(`${call} fails: ${String(message)}`);
  }

  #check(call: string, row: number, value: Value | undefined, { floor, time }: Expected): void {
    const { name } = this.#world.rows[row] as Row;
    this.#world.tell(`${call} gives ${value?.row}:${value?.version}`);
    if (value?.row !== name) {
      this.#world.break(`${call} asked for ${name} and got ${JSON.stringify(value)}`);
      return;
    }
    this.#world.served(row, value.version, time);
    if (value.version < floor())
      this.#world.break(`${call} got version ${value.version} of ${name}, older than ${floor()}`);
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

function positionOf(result: unknown): number | undefined {
  return typeof result === "object" && result !== null && "position" in result && typeof result.position === "number"
    ? result.position
    : undefined;
}
