import type { Clock, Timer } from "../clock.js";
import type { Recorder } from "../stats.js";
import type { TierGuard } from "../tiers/guard.js";
import type { LogSignal, SharedTier } from "../tiers/shared.js";
import { LeaseEnds } from "./lease-ends.js";
import type { Marks } from "./marks.js";
import { OwnRecords } from "./own-records.js";
import { RecentInvalidations } from "./recent.js";
import type { Head, LogRecord, Mark } from "./record.js";

/** Records asked for at once when catching up. */
const PAGE = 1_000;
/** Heartbeats after a subscription was made anew in which it is given time to prove itself. */
const RESUBSCRIBE_PAUSE = 4;

export interface FollowerOptions {
  readonly tier: SharedTier;
  readonly guard: TierGuard;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly marks: Marks;
  /** Random per cache instance: tells own records from others'. */
  readonly origin: string;
  readonly heartbeat: number;
  /** Infinity: memory answers however long nothing was heard. */
  readonly maxStaleness: number;
  /** A key was invalidated. */
  readonly onKey: (key: string, soft: boolean, position: number) => void;
  /** Records up to `position` were lost: what is older must be checked again. */
  readonly onLost: (position: number) => void;
  /** The log was heard again and is complete. */
  readonly onHeard: () => void;
  /** The server may have forgotten these invalidations, which it had acknowledged. */
  readonly onRewritten: (marks: { readonly hard: readonly Mark[]; readonly soft: readonly Mark[] }) => void;
  /** A stored entry changed, by whomever; any of them without a key. */
  readonly onChanged: (key: string | undefined) => void;
}

/**
 * Follows the shared log: applies every invalidation in order, and knows when it missed one.
 *
 * For implementers:
 * - `position` is the newest record applied. A pushed record is applied only if its `previous` is that position;
 *   otherwise the log itself is read from there. So a push may be lost, doubled, late or out of order.
 * - The tail is read every heartbeat as well: a half-open connection gives no event, and only an answer
 *   proves that nothing was missed. `heardAt` is when the request of the last complete answer was *sent*.
 * - A subscription that stands and yet does not bring what the log has had for a whole heartbeat is half-open, and made
 *   anew: leases' ends are heard there only.
 * - If the log does not reach back to `position`, or history was rewritten (restart empty, failover to a lagging
 *   replica: the chain does not fit, or the head went back), everything older than the new head is suspect.
 * - Applying is idempotent and compares positions, so a process applies its own record when it is acknowledged and
 *   again when it comes by.
 */
export class LogFollower {
  readonly #options: FollowerOptions;
  readonly leaseEnds: LeaseEnds;
  readonly #recent: RecentInvalidations;
  #confirming: Promise<boolean> | undefined;
  #position: number | undefined;
  readonly #own = new OwnRecords();
  /** Positions that were acknowledged, and that the log was not seen to have. */
  readonly #doubted = new Set<number>();
  #asking = false;
  #newestSeen = 0;
  /** As `#newestSeen`, of those that the server itself named. */
  #newestGiven = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #catching: Promise<void> | undefined;
  #again = false;
  #subscription: Promise<() => Promise<void>> | undefined;
  #subscribed = false;
  /** The newest position that the subscription brought, or that it could not have brought. */
  #pushed = 0;
  /** What the log had at the last heartbeat: by now the subscription must have brought it. */
  #owed = 0;
  #pause = 0;
  #closed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.leaseEnds = new LeaseEnds(options.clock);
    this.#recent = new RecentInvalidations(options.clock);
  }

  /** The newest record applied; `undefined` until the log was first reached. */
  get position(): number | undefined {
    return this.#position;
  }

  /** The newest position known to have been given: what a load that begins now may carry when it could not ask the log. */
  get known(): number {
    return Math.max(this.#position ?? 0, this.#newestSeen);
  }

  /** The newest position that the server has named. */
  get #given(): number {
    return Math.max(this.#position ?? 0, this.#newestGiven);
  }

  /** An answer named this position, which may not be applied here yet. */
  saw(position: number): void {
    if (position > this.#newestSeen) this.#newestSeen = position;
    if (position > this.#newestGiven) this.#newestGiven = position;
  }

  /** When the log was last known complete, on the monotonic clock. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Whether memory may answer at `now`, with what is known since. */
  trusted(now: number, since: number = Number.NEGATIVE_INFINITY): boolean {
    const { maxStaleness } = this.#options;
    return maxStaleness === Number.POSITIVE_INFINITY || now - Math.max(this.#heardAt, since) <= maxStaleness;
  }

  /** Begins to follow; failures are tried again at each heartbeat. */
  start(): void {
    this.#beat();
  }

  /** Brings `position` to the head of now; overlapping calls share one run. Rejects when the tier does not answer. */
  catchUp(): Promise<void> {
    // A call that arrives while a read of the log is under way may need a record written after that read.
    if (this.#catching !== undefined) {
      this.#again = true;
      return this.#catching;
    }
    this.#catching = this.#run().finally(() => {
      this.#catching = undefined;
    });
    return this.#catching;
  }

  /** Whether every record up to this head's `control` is applied here; catches up if not. */
  async reach(control: number): Promise<boolean> {
    if (this.#position !== undefined && this.#position >= control) return true;
    try {
      await this.catchUp();
    } catch {
      // The guard has counted and told it; the caller goes on without the tier.
      return false;
    }
    return this.#position !== undefined && this.#position >= control;
  }

  /**
   * Learns of everything that was invalidated before this call, by reading the log's head; those of one turn share one
   * read. False when the tier does not answer.
   */
  confirm(): Promise<boolean> {
    this.#confirming ??= Promise.resolve().then(() => {
      // From here on a caller may come after something that this read will not see.
      this.#confirming = undefined;
      return this.#confirm();
    });
    return this.#confirming;
  }

  /**
   * An answer had a head older than what was applied here when it was asked for: the server went back in its history, and
   * the log is read at once rather than at the next heartbeat.
   */
  wentBack(): void {
    this.#catchUpInBackground();
  }

  /** Applies an invalidation of this process that the tier has not acknowledged, as newer than all that is known. */
  applyUnacknowledged(marks: readonly Mark[], soft: boolean): void {
    this.#newestSeen = this.known + 1;
    this.#applyOwn(marks, soft, this.#newestSeen);
  }

  /** Applies an invalidation of this process that the tier has acknowledged and the log will bring. */
  applyAcknowledged(marks: readonly Mark[], soft: boolean, position: number): void {
    this.saw(position);
    this.#applyOwn(marks, soft, position);
    if (this.#own.acknowledge(position, this.#position ?? 0)) this.#doubt([position]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.leaseEnds.close();
    const subscription = this.#subscription;
    this.#subscription = undefined;
    if (subscription === undefined) return;
    if (!this.#subscribed) {
      // It may never stand, and is not waited for: should it stand after all, it is ended then.
      subscription.then((unsubscribe) => unsubscribe()).catch(() => undefined);
      return;
    }
    const unsubscribe = await subscription;
    await unsubscribe();
  }

  #applyOwn(marks: readonly Mark[], soft: boolean, position: number): void {
    this.#apply({ marks, soft, position, previous: 0, origin: this.#options.origin });
  }

  async #confirm(): Promise<boolean> {
    const { tier, guard } = this.#options;
    const stood = this.#position ?? 0;
    try {
      const { head } = await guard.call("store.read", () => tier.store.read([]));
      if (head !== undefined && head.position >= stood) return await this.reach(head.position);
      // No generation yet, or another than the one applied here.
      await this.catchUp();
      return this.#position !== undefined;
    } catch {
      // The guard has counted and told it.
      return false;
    }
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      if (this.#position === undefined) await this.#begin();
      else await this.#read(this.#position);
    } while (this.#again && !this.#closed);
  }

  /** First contact: from this head on every record is applied. */
  async #begin(): Promise<void> {
    const { tier, guard, clock } = this.#options;
    const sentAt = clock.now();
    const given = this.#given;
    const head = await guard.call("log.head", () => tier.log.head());
    if (head.position < given) {
      await this.#lost(head, true);
      return;
    }
    // Rules match by form, so all must be known; read after the head, they miss nothing that the log will not bring.
    const rules = await guard.call("store.rules", () => tier.store.rules());
    this.#restart(head, rules);
    this.#heard(sentAt);
  }

  async #read(from: number): Promise<void> {
    const { tier, guard, clock } = this.#options;
    for (;;) {
      const sentAt = clock.now();
      const position = this.#position ?? from;
      const given = this.#given;
      const { records, head, oldest } = await guard.call("log.since", () => tier.log.since(position, PAGE));
      const first = records?.[0];
      // Held against the position asked with: pushes may have moved this process on while the answer was under way.
      const follows = first === undefined ? head.position === position : first.previous === position;
      // What was given before the request is in the answer, unless the server went back in its history.
      const wentBack = head.position < given;
      if (records === undefined || !follows || wentBack) {
        // Not merely trimmed: what this process stood at was never given in this history, which goes on from before it.
        // (With a new generation nothing older is believed anyway.)
        const isRewritten = wentBack || (head.floor <= position && oldest !== undefined && oldest <= position);
        await this.#lost(head, isRewritten);
        return;
      }
      for (const record of records) if (record.position > (this.#position ?? 0)) this.#advance(record);
      if (records.length < PAGE) {
        this.#heard(sentAt);
        return;
      }
    }
  }

  /** The log cannot be followed from where this process stood. */
  async #lost(head: Head, isRewritten: boolean): Promise<void> {
    const { tier, guard, recorder, onLost } = this.#options;
    const known = isRewritten ? await this.#known() : undefined;
    const rules = await guard.call("store.rules", () => tier.store.rules());
    recorder.gap(head.position);
    const since = this.#restart(head, rules);
    if (isRewritten) {
      // Positions of what was lost say nothing of what is now.
      this.#newestSeen = 0;
      this.#newestGiven = 0;
    }
    onLost(since);
    if (known !== undefined) this.#rewritten(known);
  }

  /** What this process was told, and the server's history has not, is told again; positions of that history mean nothing. */
  #rewritten(known: ReadonlySet<number>): void {
    this.#own.forget();
    this.#options.onRewritten(this.#recent.except(known));
  }

  /**
   * What the server's history has of what was applied of late: its log is read from the oldest of that, or from where it is
   * whole. What it acknowledged since it went back, or began anew, is in it as well.
   */
  async #known(): Promise<ReadonlySet<number>> {
    const { tier, guard } = this.#options;
    const known = new Set<number>();
    let [from] = this.#recent.positions();
    let isWhole = false;
    while (from !== undefined) {
      const position: number = from;
      const { records, oldest } = await guard.call("log.since", () => tier.log.since(position, PAGE));
      if (records === undefined) {
        // Trimmed in between, it is not whole from anywhere that is known.
        from = isWhole ? undefined : oldest;
        isWhole = true;
        continue;
      }
      known.add(position);
      for (const record of records) known.add(record.position);
      from = records.length < PAGE ? undefined : records.at(-1)?.position;
    }
    return known;
  }

  /**
   * Starts to know at this head; the position from which on all marks are known. That is later than the head when history
   * went back: what this process knew to be newer was lost with it.
   */
  #restart(head: Head, rules: readonly { mark: Mark; hard: number; soft: number }[]): number {
    const { marks } = this.#options;
    const since = Math.max(head.position, this.known);
    this.#position = head.position;
    this.#owed = 0;
    this.#pushed = head.position;
    this.#doubt(this.#own.pass(head.position));
    marks.restart(since);
    for (const rule of rules) marks.learn(rule.mark, rule);
    return since;
  }

  #heard(sentAt: number): void {
    this.#heardAt = Math.max(this.#heardAt, sentAt);
    this.#options.onHeard();
  }

  #advance(record: LogRecord): void {
    this.#apply(record);
    this.#position = record.position;
    if (record.origin === this.#options.origin) this.#own.comeBy(record.position);
    this.#doubt(this.#own.pass(record.position));
  }

  /** Acknowledged records are behind this process, and were not seen: if the log has them not, history was rewritten. */
  #doubt(positions: readonly number[]): void {
    for (const position of positions) this.#doubted.add(position);
    if (this.#doubted.size === 0 || this.#asking) return;
    this.#asking = true;
    const done = (): void => {
      this.#asking = false;
    };
    this.#settleDoubts().then(done, done);
  }

  async #settleDoubts(): Promise<void> {
    while (this.#doubted.size > 0 && !this.#closed) {
      const doubted = [...this.#doubted];
      this.#doubted.clear();
      const position = this.known;
      let known: ReadonlySet<number> = new Set();
      try {
        known = await this.#known();
      } catch {
        // The guard has counted and told it; all that was applied of late is told again.
      }
      if (doubted.every((one) => known.has(one))) continue;
      this.#options.onLost(position);
      this.#rewritten(known);
    }
  }

  #apply(record: LogRecord): void {
    const { marks, recorder, onKey, origin, clock } = this.#options;
    marks.apply(record);
    for (const mark of record.marks) {
      if (mark.kind !== "key") continue;
      onKey(mark.key, record.soft, record.position);
      // Its lease is ended as well: who waits for it may take it.
      this.leaseEnds.tell(mark.key);
    }
    const own = record.origin === origin;
    // A process's own record passes twice, when acknowledged (previous 0) and when it comes by: counted the first time.
    if (!own || record.previous === 0) {
      this.#recent.add(record.position, record.marks, record.soft);
      // Two machines' clocks: a record from the future has just been written.
      const delay = own ? undefined : Math.max(0, clock.wall() - record.position / 1_000);
      recorder.invalidated(record.marks, record.soft, record.position, own ? "own" : "other", delay);
    }
  }

  #hear(signal: LogSignal): void {
    if (this.#closed) return;
    switch (signal.type) {
      case "settled":
        this.leaseEnds.tell(signal.key);
        return;
      case "refused":
        this.#options.recorder.messageRefused(signal.reason);
        return;
      case "changed":
        this.#options.onChanged(signal.key);
        return;
      case "changed-all":
        this.#options.onChanged(undefined);
        return;
      case "record": {
        const { record } = signal;
        if (this.#position === undefined) return;
        if (record.previous === this.#position) this.#advance(record);
        // What the log has was pushed; what it has not says nothing.
        if (record.position <= this.#position) this.#pushed = Math.max(this.#pushed, record.position);
        else this.#catchUpInBackground(record.position);
        return;
      }
      case "up":
        this.#up();
        return;
      case "down":
        // Nothing is known to be lost yet: the heartbeat goes on reading the log on the other connection.
        return;
    }
  }

  /** From here on records are pushed; those before it come from the log. */
  #up(): void {
    this.catchUp().then(
      () => {
        this.#pushed = Math.max(this.#pushed, this.#position ?? 0);
      },
      // The guard has counted and told the failure; the next heartbeat tries again.
      () => undefined,
    );
  }

  /** @param pushed the position of a record that was pushed before its turn. */
  #catchUpInBackground(pushed = 0): void {
    this.catchUp().then(
      () => {
        if (pushed <= (this.#position ?? 0)) this.#pushed = Math.max(this.#pushed, pushed);
      },
      // The guard has counted and told the failure; the next heartbeat tries again.
      () => undefined,
    );
  }

  #beat(): void {
    if (this.#closed) return;
    if (this.#subscribed && this.#pushed < this.#owed && this.#pause === 0) this.#resubscribe();
    if (this.#pause > 0) this.#pause -= 1;
    this.#subscribe();
    const next = (): void => {
      if (!this.#closed) this.#timer = this.#options.clock.after(this.#options.heartbeat, () => this.#beat());
    };
    this.catchUp().then(() => {
      this.#owed = this.#position ?? 0;
      next();
    }, next);
  }

  #resubscribe(): void {
    const old = this.#subscription;
    this.#subscription = undefined;
    this.#subscribed = false;
    this.#pause = RESUBSCRIBE_PAUSE;
    old
      ?.then((unsubscribe) => unsubscribe())
      .catch((error: unknown) => {
        this.#options.recorder.tierFailed("log.unsubscribe", error);
      });
  }

  #subscribe(): void {
    if (this.#subscription !== undefined) return;
    const subscription = this.#options.tier.log.subscribe((signal) => this.#hear(signal));
    this.#subscription = subscription;
    subscription.then(
      () => {
        if (this.#subscription !== subscription) return;
        this.#subscribed = true;
        if (!this.#closed) this.#up();
      },
      (error: unknown) => {
        this.#options.recorder.tierFailed("log.subscribe", error);
        if (this.#subscription === subscription) this.#subscription = undefined;
      },
    );
  }
}
