import type { Clock } from "../clock.js";
import type { EntryFields } from "../entries/entry.js";
import { isReadByOthers, STAMP_LENGTH, STAMP_OFFSET, type Envelope } from "../entries/envelope.js";
import type { EntryForm } from "../entries/form.js";
import type { Held } from "../entries/held.js";
import type { MissReason } from "../events.js";
import type { LogFollower } from "../invalidation/follower.js";
import type { LogKnowledge } from "../invalidation/knowledge.js";
import { judgeFetched, marksOf, type Marks, type Verdict } from "../invalidation/marks.js";
import type { Head } from "../invalidation/record.js";
import type { Unsent } from "../invalidation/unsent.js";
import type { ResolvedPolicy } from "../policy.js";
import type { RowVersions } from "../row-versions.js";
import type { Counters, Recorder } from "../stats.js";
import type { TierGuard } from "../tiers/guard.js";
import type { LocalEntries } from "../tiers/local-entries.js";
import type { LargeValue, SharedTier, StoredValue } from "../tiers/shared.js";
import { SharedReader, type SharedAnswer } from "./shared-reader.js";

/** What a reader of the shared tier brings along. */
export interface ReadSpec {
  readonly policy: ResolvedPolicy;
  readonly counters: Counters;
  /** Whether its misses are counted. */
  readonly countMiss: boolean;
  readonly fingerprint: number;
  /** How its values lie in the shared tier. */
  readonly form: EntryForm;
  /** Checks (and may replace) a value that comes from outside this process; `undefined` when it is refused. */
  readonly accept: ((value: unknown) => Promise<{ readonly value: unknown } | undefined>) | undefined;
  /** How old its values are, where they say so. */
  readonly rows: RowVersions | undefined;
}

/** What the shared tier holds of a key. */
export type Found =
  | { readonly state: "fresh"; readonly held: Held; readonly bytes: number }
  | { readonly state: "stale"; readonly held: Held; readonly bytes: number }
  /** `stamp` of the entry that is there and of no use, for the lease. */
  | { readonly state: "miss"; readonly reason: MissReason; readonly stamp: Uint8Array | undefined }
  /** The tier did not answer. */
  | { readonly state: "down" };

const VALID: Verdict = { state: "valid" };

/** Entries of the shared tier: read, decoded, judged. Nothing here throws what the tier or its bytes threw. */
export class SharedEntries {
  readonly #tier: SharedTier;
  readonly #guard: TierGuard;
  readonly #follower: LogFollower;
  readonly #marks: Marks;
  readonly #unsent: Unsent;
  readonly #local: LocalEntries;
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #reader: SharedReader;
  readonly #knowledge: LogKnowledge;
  readonly #fed: LogKnowledge;

  constructor(init: {
    tier: SharedTier;
    guard: TierGuard;
    follower: LogFollower;
    unsent: Unsent;
    local: LocalEntries;
    clock: Clock;
    recorder: Recorder;
    knowledge: LogKnowledge;
    /** For entries that are fed. */
    fed: LogKnowledge;
  }) {
    this.#knowledge = init.knowledge;
    this.#fed = init.fed;
    this.#marks = init.knowledge.marks;
    this.#tier = init.tier;
    this.#guard = init.guard;
    this.#follower = init.follower;
    this.#unsent = init.unsent;
    this.#local = init.local;
    this.#clock = init.clock;
    this.#recorder = init.recorder;
    this.#reader = new SharedReader(init.tier, init.guard, init.follower);
  }

  /** What the tier has under the key, unjudged; rejects when it does not answer. Reads of one turn go together. */
  read(path: string): Promise<SharedAnswer> {
    return this.#reader.read(path);
  }

  /** All of a value that was read; `undefined` when it is not there any more. Rejects when the tier does not answer. */
  async bytesOf(value: StoredValue | undefined): Promise<Uint8Array | undefined> {
    if (value === undefined || value instanceof Uint8Array) return value;
    return this.#guard.call("store.fetch", () => value.fetch(), this.#guard.timeoutFor(value.size));
  }

  /**
   * The value that lies under the key, fresh or not; `undefined` when there is none, or none that counts any more. Rejects when
   * the tier does not answer.
   */
  async valueOf(path: string, spec: ReadSpec): Promise<{ readonly value: unknown } | undefined> {
    const { value, head } = await this.#reader.read(path);
    const bytes = await this.bytesOf(value);
    if (bytes === undefined || head === undefined) return undefined;
    const envelope = await this.#decode(path, bytes, stampSeen(bytes), spec.form);
    if (envelope === undefined || envelope.fingerprint !== spec.fingerprint) return undefined;
    const { position, tags } = envelope;
    if (position < head.floor || position > head.position || this.#unsent.hits(path, tags)) return undefined;
    const verdict = position >= head.control ? VALID : await this.#judge(path, envelope, head);
    // One of which the log does not tell is there.
    if (verdict?.state === "hard") return undefined;
    return spec.accept === undefined ? envelope : spec.accept(envelope.value);
  }

  async find(path: string, spec: ReadSpec): Promise<Found> {
    let answer: SharedAnswer;
    try {
      answer = await this.#reader.read(path);
    } catch {
      return { state: "down" };
    }
    return this.#examined(path, answer.value, answer.head, spec, answer.stood);
  }

  /**
   * Judges stored bytes. `head` must have been read with them in one step: a key invalidated up to it is not
   * there any more (or flagged), and every other mark up to `head.control` is applied here before judging. So what
   * passes is known good up to `head.position`.
   *
   * @param stood the position applied here when they were asked for: an older head is that of a server which went back in
   *   its history and may have forgotten what it acknowledged.
   */
  async examine(
    path: string,
    value: StoredValue | undefined,
    head: Head | undefined,
    spec: ReadSpec,
    stood: number,
  ): Promise<Found> {
    return this.#examined(path, value, head, spec, stood);
  }

  /**
   * Judges bytes of an entry of this tier that were kept elsewhere, known good up to the position `good`, by what is known
   * here: the caller has had the log applied. `undefined` in any doubt, and for one that is not fresh.
   */
  async examineCopy(path: string, bytes: Uint8Array, good: number, spec: ReadSpec): Promise<Found | undefined> {
    let envelope: Envelope;
    try {
      envelope = await spec.form.decode(path, bytes);
    } catch {
      // The entry itself may well be whole.
      return undefined;
    }
    const { position, tags, softStale, fingerprint } = envelope;
    if (softStale || position > good || fingerprint !== spec.fingerprint || this.#unsent.hits(path, tags))
      return undefined;
    const judged = { position: good, tags };
    if (!this.#marks.knows(judged) || this.#marks.judge(path, judged).state !== "valid") return undefined;
    const accepted = spec.accept === undefined ? envelope : await spec.accept(envelope.value);
    if (accepted === undefined) return undefined;
    const found = this.#held(path, accepted.value, envelope, VALID, judged, spec, bytes.length);
    return found.state === "fresh" ? found : undefined;
  }

  /** Without a promise of its own where nothing has to be asked: most entries are newer than every mark but keys'. */
  #examined(
    path: string,
    bytes: StoredValue | undefined,
    head: Head | undefined,
    spec: ReadSpec,
    stood: number,
  ): Found | Promise<Found> {
    if (head !== undefined && head.position < stood) {
      this.#follower.wentBack();
      return { state: "down" };
    }
    if (head !== undefined) this.#follower.saw(head.position);
    if (bytes === undefined) return { state: "miss", reason: "cold", stamp: undefined };
    if (!(bytes instanceof Uint8Array)) return this.#fetched(path, bytes, head, spec, stood);
    const stamp = stampSeen(bytes);
    const envelope = this.#decode(path, bytes, stamp, spec.form);
    return envelope instanceof Promise
      ? envelope.then((decoded) => this.#decoded(path, decoded, stamp, bytes.length, head, spec))
      : this.#decoded(path, envelope, stamp, bytes.length, head, spec);
  }

  #decoded(
    path: string,
    envelope: Envelope | undefined,
    stamp: Uint8Array | undefined,
    size: number,
    head: Head | undefined,
    spec: ReadSpec,
  ): Found | Promise<Found> {
    if (envelope === undefined) return { state: "miss", reason: "corrupt", stamp };
    // One from the future is of a history that was lost: no invalidation of this one would ever hit it.
    const { position } = envelope;
    if (head === undefined || position < head.floor || position > head.position)
      return { state: "miss", reason: "forgotten", stamp };
    if (envelope.fingerprint !== spec.fingerprint) return { state: "miss", reason: "version", stamp };
    if (this.#unsent.hits(path, envelope.tags)) return { state: "miss", reason: "invalidated-key", stamp };
    if (position >= head.control && spec.accept === undefined)
      return this.#held(path, envelope.value, envelope, VALID, head, spec, size);
    return this.#judged(path, size, envelope, head, spec);
  }

  /** As examined, once all of a large value is there. One that changed under way is looked for again by nobody: it is a miss. */
  async #fetched(
    path: string,
    large: LargeValue,
    head: Head | undefined,
    spec: ReadSpec,
    stood: number,
  ): Promise<Found> {
    let bytes: Uint8Array | undefined;
    try {
      bytes = await this.bytesOf(large);
    } catch {
      return { state: "down" };
    }
    if (bytes === undefined) return { state: "miss", reason: "cold", stamp: stampSeen(large.head) };
    return this.#examined(path, bytes, head, spec, stood);
  }

  async #judged(path: string, size: number, envelope: Envelope, head: Head, spec: ReadSpec): Promise<Found> {
    const { stamp } = envelope;
    const verdict = envelope.position >= head.control ? VALID : await this.#judge(path, envelope, head);
    if (verdict === undefined) return { state: "down" };
    if (verdict.state === "hard") return { state: "miss", reason: verdict.reason, stamp };
    const accepted = spec.accept === undefined ? envelope : await spec.accept(envelope.value);
    if (accepted === undefined) return { state: "miss", reason: "version", stamp };
    return this.#held(path, accepted.value, envelope, verdict, head, spec, size);
  }

  #decode(
    path: string,
    bytes: Uint8Array,
    stamp: Uint8Array | undefined,
    form: EntryForm,
  ): Envelope | undefined | Promise<Envelope | undefined> {
    try {
      const envelope = form.decode(path, bytes);
      if (!(envelope instanceof Promise)) return envelope;
      return envelope.catch((error: unknown) => this.#corrupt(path, stamp, error));
    } catch (error) {
      return this.#corrupt(path, stamp, error);
    }
  }

  #corrupt(path: string, stamp: Uint8Array | undefined, error: unknown): undefined {
    this.#recorder.foundCorrupt(path, error);
    if (stamp !== undefined && !isReadByOthers(error)) {
      // Healing is a courtesy to other readers; the next fill heals it as well. The guard tells of a failure.
      this.#guard.call("store.discard", () => this.#tier.store.discard(path, stamp)).catch(() => undefined);
    }
    return undefined;
  }

  async #judge(path: string, envelope: Envelope, head: Head): Promise<Verdict | undefined> {
    if (!(await this.#follower.reach(head.control))) return undefined;
    const verdict = this.#marks.judge(path, envelope);
    if (verdict.state === "hard" || this.#marks.knows(envelope)) return verdict;
    // Older than this process's memory of the log: its marks are asked for.
    const asked = marksOf(path, envelope.tags);
    try {
      const positions = await this.#guard.call("store.marks", () => this.#tier.store.marks(asked));
      const fetched = judgeFetched(asked, positions, envelope.position);
      return fetched.state === "valid" ? verdict : fetched;
    } catch {
      return undefined;
    }
  }

  #held(
    path: string,
    value: unknown,
    envelope: Envelope,
    verdict: Verdict,
    head: Pick<Head, "position">,
    spec: ReadSpec,
    bytes: number,
  ): Found {
    const now = this.#clock.now();
    const knowledge = spec.policy.fed ? this.#fed : this.#knowledge;
    // Nobody knows what changed in the source since it was loaded.
    if (!knowledge.vouched(now)) return { state: "miss", reason: "suspect", stamp: envelope.stamp };
    // A wall clock that lags behind the writer's gives no entry more than its ttl from here.
    const age = Math.max(0, this.#clock.wall() - envelope.createdWall);
    const soft = envelope.softStale || verdict.state === "soft";
    // A soft verdict comes from a mark between the two positions: risen above it, memory would forget it.
    const position = verdict.state === "soft" ? envelope.position : Math.max(envelope.position, head.position);
    const createdAt = envelope.sliding ? now : now - age;
    let kept;
    try {
      // A schema may hand back an object of its own.
      kept = spec.accept === undefined ? this.#local.adopt(value) : this.#local.secure(value);
    } catch {
      return { state: "miss", reason: "corrupt", stamp: envelope.stamp };
    }
    if (spec.rows?.isOutdated(path, kept.value) === true)
      return { state: "miss", reason: "older", stamp: envelope.stamp };
    spec.rows?.met(path, kept.value);
    const held = this.#local.hold(
      kept,
      fieldsOf(envelope, kept.value),
      createdAt,
      position,
      spec.policy,
      spec.counters,
      knowledge,
    );
    if (soft) held.soften(now);
    return now < held.freshUntil ? { state: "fresh", held, bytes } : { state: "stale", held, bytes };
  }
}

/** Field by field, in the order of a loaded entry's: picking them with `...rest` costs a microsecond, and another order another layout. */
function fieldsOf(envelope: Envelope, value: unknown): EntryFields {
  return {
    value,
    stamp: envelope.stamp,
    ttl: envelope.ttl,
    staleWhileRevalidate: envelope.staleWhileRevalidate,
    staleIfError: envelope.staleIfError,
    loadCost: envelope.loadCost,
    position: envelope.position,
    tags: envelope.tags,
    fingerprint: envelope.fingerprint,
    etag: envelope.etag,
    sliding: envelope.sliding,
  };
}

/** What the tier takes for the stamp, whatever the bytes are: foreign ones that could not be named would be offered again and again. */
function stampSeen(bytes: Uint8Array): Uint8Array | undefined {
  const end = STAMP_OFFSET + STAMP_LENGTH;
  return bytes.length < end ? undefined : bytes.slice(STAMP_OFFSET, end);
}
