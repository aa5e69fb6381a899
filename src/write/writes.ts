import type { Clock } from "../clock.js";
import type { TierName } from "../events.js";
import type { Invalidations } from "../invalidation/invalidations.js";
import type { PendingOperation, PendingOperations } from "../invalidation/pending.js";
import type { Head, Mark } from "../invalidation/record.js";
import type { EntryMaker, MadeEntry } from "../load/entry-maker.js";
import type { Lease } from "../load/lease.js";
import { localRowAge, rowAge } from "../load/row-ages.js";
import type { ReadSpec } from "../load/shared-entries.js";
import { eachPart, MAX_TOGETHER } from "../parts.js";
import type { Recorder } from "../stats.js";
import type { Kept, LocalEntries } from "../tiers/local-entries.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";
import type { Operation } from "../watchers.js";

/** What a write brings along: how the entry is made, and what it is called. */
export interface WriteSpec extends ReadSpec {
  readonly tags: readonly string[];
  readonly tagsOf: ((value: unknown) => readonly string[]) | undefined;
  readonly etag: string | undefined;
}

/** An entry about to be written, and its form in the shared tier, if there is one. */
interface Made extends MadeEntry {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly life: number;
}

/** A value to be written, and what is written of it: secured before anything is awaited, whatever its giver makes of it meanwhile. */
interface Given {
  readonly path: string;
  readonly value: unknown;
  readonly kept: Kept;
}

/** How often a write of a row with a version takes the lease again that other writers have taken over. */
const MOST_TRIES = 5;

/** What an entry is in the shared tier where there is none. */
const UNSHARED = { bytes: new Uint8Array(0), life: 0 };

/** The write path: values that come from callers rather than from a load. */
export class Writes {
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #local: LocalEntries;
  readonly #pending: PendingOperations;
  readonly #maker: EntryMaker;
  readonly #invalidations: Invalidations;
  readonly #sides: Sides;

  constructor(parts: {
    clock: Clock;
    recorder: Recorder;
    local: LocalEntries;
    pending: PendingOperations;
    maker: EntryMaker;
    invalidations: Invalidations;
    sides: Sides;
  }) {
    this.#clock = parts.clock;
    this.#recorder = parts.recorder;
    this.#local = parts.local;
    this.#pending = parts.pending;
    this.#maker = parts.maker;
    this.#invalidations = parts.invalidations;
    this.#sides = parts.sides;
  }

  /**
   * Writes entries in every tier.
   *
   * @throws CacheError `ERR_CACHE_VALUE` (nothing was written), `ERR_CACHE_TIER` (the shared tier did not acknowledge:
   * this process holds none of them, and their invalidation is sent until it is acknowledged).
   */
  set(entries: readonly (readonly [path: string, value: unknown])[], spec: WriteSpec): Promise<void> {
    const { watchers } = this.#recorder;
    if (!watchers.watching) return this.#set(entries, spec);
    const [first] = entries;
    const key = entries.length === 1 ? first?.[0] : undefined;
    return watchers.run(writeOf(key, entries.length, spec), () => this.#set(entries, spec));
  }

  async #set(entries: readonly (readonly [path: string, value: unknown])[], spec: WriteSpec): Promise<void> {
    const given = entries.map(([path, value]): Given => ({ path, value, kept: this.#local.secure(value) }));
    if (spec.rows !== undefined && this.#sides.all.length > 0) {
      return eachPart(given, (one) => this.#setNewer(one, spec));
    }
    // An entry older than the log's generation would be believed by nobody, so the log must have been reached once.
    for (const { follower } of this.#sides.all) if (follower.position === undefined) await follower.reach(0);
    const made = await Promise.all(
      given.map(async ({ path, value, kept }) => {
        const entry = this.#make(path, value, spec, this.#invalidations.positionFor(path), kept);
        return this.#formed(path, entry, spec);
      }),
    );
    const stored = made.filter((entry) => entry.fields.ttl > 0);
    const dropped = made.filter((entry) => entry.fields.ttl <= 0);
    // A ttl of 0 stores nothing, and what was there is not the value any more.
    await this.#invalidations.invalidateParts(parts(dropped).map(marksOf), false);
    if (this.#sides.all.length === 0) {
      const newest = spec.rows === undefined ? stored : stored.filter((entry) => this.#isNewest(entry, spec));
      return eachPart(parts(newest), (part) => this.#setTogether(part, undefined, spec));
    }
    const groups = this.#sides.group(stored, (entry) => entry.path);
    const written = Array.from(groups, ([side, own]) =>
      eachPart(parts(own), (part) => this.#setTogether(part, side, spec)),
    );
    for (const one of await Promise.allSettled(written)) if (one.status === "rejected") throw one.reason;
  }

  /**
   * As `set`, of an entry whose rows have versions: under a writer's lease, as in `through`. What is stored cannot change between the
   * comparison and the commit without ending the lease.
   */
  async #setNewer({ path, value, kept }: Given, spec: WriteSpec): Promise<void> {
    const side = this.#sides.of(path) as SharedSide;
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const lease = await side.leases.takeOver(path, spec.policy.hardTimeout);
      if (lease === undefined) break;
      const pending = this.#pending.begin(path);
      try {
        const made = await this.#formed(path, this.#make(path, value, spec, lease.position, kept), spec);
        if (made.fields.ttl <= 0) break;
        const age = await rowAge(path, made.kept.value, spec, this.#local, side);
        if (age === "stored-newer") return this.#older(path, spec, "shared");
        if (age === "known-newer") this.#older(path, spec, "shared");
        if (age !== "newest") break;
        const head = await lease.commit(made.bytes, made.life);
        if (head === undefined) continue;
        this.#committed(side, made, head, pending, spec);
        return;
      } finally {
        lease.release();
        pending.end();
      }
    }
    // A newer one is known and not there, others wrote each time, or the tier does not answer: none is right whoever was the last.
    await this.#invalidations.invalidate([{ kind: "key", key: path }], false);
  }

  /** Entries written in one step, all of one side. */
  async #setTogether(given: readonly Made[], side: SharedSide | undefined, spec: WriteSpec): Promise<void> {
    const operations = given.map(({ path }) => this.#pending.begin(path));
    try {
      let stored = given;
      let head = await this.#put(stored, side);
      if (side !== undefined && stored.some(({ fields }) => fields.position < head.floor)) {
        // Made before this process had met the log's generation, and so believed by nobody.
        const { position } = head;
        stored = await Promise.all(
          given.map((one) => this.#formed(one.path, { kept: one.kept, fields: { ...one.fields, position } }, spec)),
        );
        head = await this.#put(stored, side);
      }
      for (const [index, entry] of stored.entries()) {
        // Heard of meanwhile: somebody wrote or invalidated after this write.
        if ((operations[index]?.fencedAt ?? 0) <= head.position) this.#keep(entry, head, spec);
      }
    } finally {
      for (const operation of operations) operation.end();
    }
  }

  /**
   * Writes through: see `Cache.writeThrough`.
   *
   * Why the cache ends up with the last committed value or none, whatever the writers' steps interleave to: each
   * writer takes the key's lease *before* it writes, ending everybody else's, and stores only if it still has it
   * after its commit; else it invalidates, after its commit. Let X commit last. If X stores, nobody took the lease
   * since before X's commit, so whoever stores after X has committed after X: nobody. If X invalidates, the same
   * holds for whoever stores after that.
   */
  through(path: string, write: () => Promise<unknown>, spec: WriteSpec): Promise<unknown> {
    const { watchers } = this.#recorder;
    if (!watchers.watching) return this.#through(path, write, spec);
    return watchers.run(writeOf(path, 1, spec), () => this.#through(path, write, spec));
  }

  async #through(path: string, write: () => Promise<unknown>, spec: WriteSpec): Promise<unknown> {
    const side = this.#sides.of(path);
    const lease = await side?.leases.takeOver(path, spec.policy.hardTimeout);
    const begun = side === undefined ? this.#invalidations.takeOverLocally(path) : 0;
    const pending = this.#pending.begin(path);
    try {
      const value = await write();
      const stored =
        side === undefined
          ? pending.fencedAt <= begun && this.#commitLocally(path, value, begun, spec)
          : await this.#commitShared(side, path, value, lease, pending, spec);
      if (!stored) await this.#forget(path);
      return value;
    } catch (error) {
      // It may have committed before it failed: what is stored can no longer be believed.
      await this.#forget(path);
      throw error;
    } finally {
      lease?.release();
      pending.end();
    }
  }

  async #put(entries: readonly Made[], shared: SharedSide | undefined): Promise<Head> {
    const marks = marksOf(entries);
    if (shared === undefined) return localHead(this.#invalidations.applyLocally(marks, false));
    const puts = entries.map(({ path, bytes, life }) => ({ key: path, value: bytes, ttl: life }));
    const bytes = puts.reduce((total, { value }) => total + value.length, 0);
    try {
      const head = await shared.guard.call(
        "store.put",
        () => shared.tier.store.put(puts, shared.origin),
        Math.max(shared.patience, shared.guard.timeoutFor(bytes)),
      );
      shared.follower.applyAcknowledged(marks, false, head.position);
      return head;
    } catch (cause) {
      throw this.#invalidations.undelivered(shared, marks, false, cause);
    }
  }

  #commitLocally(path: string, value: unknown, begun: number, spec: WriteSpec): boolean {
    const made = this.#tryMake(path, value, spec, begun);
    if (made === undefined) return false;
    const age = localRowAge(path, made.kept.value, spec, this.#local, true);
    if (age !== "newest") {
      this.#older(path, spec, "memory");
      return age === "stored-newer";
    }
    return this.#keep(
      { path, ...made, ...UNSHARED },
      localHead(this.#invalidations.applyLocally(marksOf([{ path }]), false)),
      spec,
    );
  }

  /** Stores a committed value under the writer's lease; false when what is stored is to go: somebody else wrote or invalidated meanwhile. */
  async #commitShared(
    shared: SharedSide,
    path: string,
    value: unknown,
    lease: Lease | undefined,
    pending: PendingOperation,
    spec: WriteSpec,
  ): Promise<boolean> {
    if (lease === undefined) return false;
    const entry = this.#tryMake(path, value, spec, lease.position);
    const made = entry && (await this.#formed(path, entry, spec).catch(() => undefined));
    if (made === undefined) return false;
    const age = spec.rows && (await rowAge(path, made.kept.value, spec, this.#local, shared));
    if (age === "stored-newer" || age === "known-newer") this.#older(path, spec, "shared");
    if (age !== undefined && age !== "newest") return age === "stored-newer";
    const head = await lease.commit(made.bytes, made.life);
    if (head === undefined) return false;
    this.#committed(shared, made, head, pending, spec);
    return true;
  }

  /** Whether memory, where it is all there is, may have it: from here to the step that fences others nothing is awaited. */
  #isNewest({ path, kept }: Made, spec: WriteSpec): boolean {
    if (localRowAge(path, kept.value, spec, this.#local, true) === "newest") return true;
    this.#older(path, spec, "memory");
    return false;
  }

  /** What a writer's lease has committed is in memory, too, unless something newer was heard. */
  #committed(side: SharedSide, made: Made, head: Head, pending: PendingOperation, spec: WriteSpec): void {
    side.follower.applyAcknowledged(marksOf([made]), false, head.position);
    if (pending.fencedAt <= head.position) this.#keep(made, head, spec);
  }

  /** A newer row than the written one is known: it is not stored. */
  #older(path: string, { counters }: WriteSpec, tier: TierName): void {
    this.#recorder.refused(counters, path, tier, "older");
  }

  /**
   * Keeps a written entry in memory, known good up to its own record.
   *
   * A tag, prefix or pattern invalidated since its position, before that record, would then not hit it any more,
   * though it hits the same entry in the shared tier: so memory takes it only if there was none, neither in the log nor
   * among those of this process that the log has yet to get.
   */
  #keep({ path, kept, fields }: Made, { position, control }: Head, spec: WriteSpec): boolean {
    const { policy, counters } = spec;
    const knowledge = this.#sides.knowledgeOf(path, spec.policy.fed);
    const isUnsent = this.#sides.of(path)?.unsent.hits(path, fields.tags) === true;
    if (control > fields.position || isUnsent || knowledge.marks.judge(path, fields).state !== "valid") {
      this.#recorder.refused(counters, path, "memory", "fenced");
      return false;
    }
    const now = this.#clock.now();
    return this.#local.keep(path, this.#local.hold(kept, fields, now, position, policy, counters, knowledge));
  }

  /** As `#make`; `undefined`, and told, when it cannot or must not be stored: the write has happened all the same. */
  #tryMake(path: string, value: unknown, spec: WriteSpec, position: number): MadeEntry | undefined {
    try {
      const made = this.#make(path, value, spec, position);
      return made.fields.ttl > 0 ? made : undefined;
    } catch (error) {
      this.#recorder.refused(spec.counters, path, "memory", "unstorable", error);
      return undefined;
    }
  }

  /** @throws CacheError `ERR_CACHE_VALUE`. */
  #make(path: string, value: unknown, spec: WriteSpec, position: number, kept?: Kept): MadeEntry {
    spec.rows?.versionOf(value);
    const tags = [...spec.tags, ...(spec.tagsOf?.(value) ?? [])];
    return this.#maker.make(path, value, spec, {
      kept,
      ttl: undefined,
      tags,
      etag: spec.etag,
      loadCost: 0,
      position,
    });
  }

  /** Rejects with CacheError `ERR_CACHE_VALUE` for what the shared tier cannot hold. */
  async #formed(path: string, made: MadeEntry, spec: WriteSpec): Promise<Made> {
    if (this.#sides.all.length === 0) return { path, ...made, ...UNSHARED };
    return { path, ...made, ...(await this.#maker.encode(path, made.fields, spec)) };
  }

  /** Invalidates after a write that has happened; one that is not acknowledged is sent until it is. */
  #forget(path: string): Promise<void> {
    return this.#invalidations.invalidateSoon([{ kind: "key", key: path }], false);
  }
}

function writeOf(key: string | undefined, count: number, spec: WriteSpec): Operation {
  return { kind: "set", key, entity: spec.counters.entity, count, answer: undefined };
}

/** Without a shared tier nothing comes between: whoever writes has judged the marks in the same turn. */
function localHead(position: number): Head {
  return { position, control: 0, floor: 0 };
}

const MAX_BYTES_TOGETHER = 4 << 20;

function parts(entries: readonly Made[]): Made[][] {
  const all: Made[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const last = all.at(-1);
    bytes += entry.bytes.length;
    if (last === undefined || last.length === MAX_TOGETHER || bytes > MAX_BYTES_TOGETHER) {
      all.push([entry]);
      bytes = entry.bytes.length;
    } else last.push(entry);
  }
  return all;
}

function marksOf(entries: readonly { readonly path: string }[]): Mark[] {
  return entries.map(({ path }): Mark => ({ kind: "key", key: path }));
}
