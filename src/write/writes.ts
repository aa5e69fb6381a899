import type { Clock } from "../clock.js";
import type { Invalidations } from "../invalidation/invalidations.js";
import type { PendingOperation, PendingOperations } from "../invalidation/pending.js";
import type { Head, Mark } from "../invalidation/record.js";
import type { EntryMaker, MadeEntry } from "../load/entry-maker.js";
import type { Lease } from "../load/lease.js";
import type { ReadSpec } from "../load/shared-entries.js";
import type { Recorder } from "../stats.js";
import type { LocalEntries } from "../tiers/local-entries.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";

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
  async set(entries: readonly (readonly [path: string, value: unknown])[], spec: WriteSpec): Promise<void> {
    // An entry older than the log's generation would be believed by nobody, so the log must have been reached once.
    for (const { follower } of this.#sides.all) if (follower.position === undefined) await follower.reach(0);
    const made = await Promise.all(
      entries.map(async ([path, value]) => {
        const entry = this.#make(path, value, spec, this.#invalidations.positionFor(path));
        return this.#formed(path, entry, spec);
      }),
    );
    const stored = made.filter((entry) => entry.fields.ttl > 0);
    const dropped = made.filter((entry) => entry.fields.ttl <= 0);
    // A ttl of 0 stores nothing, and what was there is not the value any more.
    for (const part of parts(dropped)) await this.#invalidations.invalidate(marksOf(part), false);
    if (this.#sides.all.length === 0) {
      for (const part of parts(stored)) await this.#setTogether(part, undefined, spec);
      return;
    }
    await Promise.all(
      Array.from(
        this.#sides.group(stored, (entry) => entry.path),
        async ([side, own]) => {
          for (const part of parts(own)) await this.#setTogether(part, side, spec);
        },
      ),
    );
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
  async through(path: string, write: () => Promise<unknown>, spec: WriteSpec): Promise<unknown> {
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
    return this.#keep(
      { path, ...made, ...UNSHARED },
      localHead(this.#invalidations.applyLocally(marksOf([{ path }]), false)),
      spec,
    );
  }

  /** Stores a committed value under the writer's lease; false when somebody else wrote or invalidated meanwhile. */
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
    const head = await lease.commit(made.bytes, made.life);
    if (head === undefined) return false;
    shared.follower.applyAcknowledged(marksOf([made]), false, head.position);
    if (pending.fencedAt <= head.position) this.#keep(made, head, spec);
    return true;
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
  #make(path: string, value: unknown, spec: WriteSpec, position: number): MadeEntry {
    const tags = [...spec.tags, ...(spec.tagsOf?.(value) ?? [])];
    return this.#maker.make(path, value, spec, {
      kept: undefined,
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

/** Without a shared tier nothing comes between: whoever writes has judged the marks in the same turn. */
function localHead(position: number): Head {
  return { position, control: 0, floor: 0 };
}

/** Entries written, or invalidated, together at most: a shared tier answers nobody else meanwhile. */
export const MAX_TOGETHER: number = 1_000;
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
