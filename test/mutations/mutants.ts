/** One rule of coherence taken out of the product, or of the simulation's own feed, by a change of its text. */
export interface Mutant {
  /** What is missing. */
  readonly name: string;
  readonly file: string;
  /** Occurs exactly once in the file: if it does not, the rule has moved and this list is out of date. */
  readonly find: string;
  readonly replace: string;
  /** The simulation's weather in which it is noticed. */
  readonly weather: string;
}

/** Every one of these must be noticed by the simulation. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "a fill is stored whoever holds the lease",
    file: "src/testing/shared-room.ts",
    find: `  fill(key: string, token: string, value: Uint8Array, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;`,
    replace: `  fill(key: string, _token: string, value: Uint8Array, ttl: number): boolean {`,
    weather: "fair",
  },
  {
    name: "an invalidation leaves the key's lease alone",
    file: "src/testing/shared-room.ts",
    find: `      this.#leases.delete(mark.key);
`,
    replace: "",
    weather: "fair",
  },
  {
    name: "a token whose lease ran out takes it back by renewing",
    file: "src/testing/shared-room.ts",
    find: `  renew(key: string, token: string, ttl: number): boolean {
    if (this.#lease(key)?.token !== token) return false;`,
    replace: `  renew(key: string, token: string, ttl: number): boolean {`,
    weather: "leases",
  },
  {
    name: "a writer stores although somebody else took its lease",
    file: "src/testing/shared-room.ts",
    find: `    if (this.#lease(key)?.token !== token) return undefined;
`,
    replace: "",
    weather: "writers",
  },
  {
    name: "readers join a flight that began before an invalidation",
    file: "src/invalidation/invalidations.ts",
    find: `    this.#pending.fence(key, position, soft);
    this.#flights.detach(key);
    this.#local.invalidate(key, soft, position);`,
    replace: `    this.#pending.fence(key, position, soft);
    this.#local.invalidate(key, soft, position);`,
    weather: "joins",
  },
  {
    name: "memory is refilled with what was read before an invalidation",
    file: "src/invalidation/pending.ts",
    find: `    fence.fencedAt = Math.max(fence.fencedAt, position);
    if (!soft)`,
    replace: `    if (!soft)`,
    weather: "pushes",
  },
  {
    name: "a lost log makes nothing suspect",
    file: "src/invalidation/follower.ts",
    find: `    marks.restart(since);
`,
    replace: "",
    weather: "server",
  },
  {
    name: "the gate lets every load through",
    file: "src/load/gate.ts",
    find: `    if (this.#active < this.#concurrency) {`,
    replace: `    if (this.#active < Number.POSITIVE_INFINITY) {`,
    weather: "busy",
  },
  {
    name: "an entry's position is its process's wall clock",
    file: "src/load/loads.ts",
    find: `const position = lease?.position ?? this.#parts.invalidations.positionFor(flight.key);`,
    replace: `const position = Math.floor(this.#parts.clock.wall() * 1_000);`,
    weather: "skew",
  },
  {
    name: "an entry's position is read after its load",
    file: "src/load/loads.ts",
    find: `await this.#fill(flight, spec, lease, context, value, took, position);`,
    replace: `await this.#fill(flight, spec, lease, context, value, took, Math.max(position, this.#parts.invalidations.positionFor(flight.key)));`,
    weather: "joins",
  },
  {
    name: "a pushed record is applied whatever came before it",
    file: "src/invalidation/follower.ts",
    find: `if (record.previous === this.#position) this.#advance(record);`,
    replace: `if (record.position > this.#position) this.#advance(record);`,
    weather: "pushes",
  },
  {
    name: "the heartbeat does not read the log",
    file: "src/invalidation/follower.ts",
    find: `    this.catchUp().then(() => {
      this.#owed`,
    replace: `    Promise.resolve().then(() => {
      this.#owed`,
    weather: "pushes",
  },
  {
    name: "what was not acknowledged is forgotten",
    file: "src/invalidation/invalidations.ts",
    find: `    side.unsent.add(marks, soft);
    side.follower.applyUnacknowledged`,
    replace: `    side.follower.applyUnacknowledged`,
    weather: "calls",
  },
  {
    name: "what was not acknowledged is believed when the shared tier has it",
    file: "src/load/shared-entries.ts",
    find: `    if (this.#unsent.hits(path, envelope.tags)) return`,
    replace: `    if (path === "") return`,
    weather: "refusals",
  },
  {
    name: "a soft invalidation of marks means nothing",
    file: "src/invalidation/marks.ts",
    find: `record.soft ? { hard: 0, soft: record.position } :`,
    replace: `record.soft ? { hard: 0, soft: 0 } :`,
    weather: "fair",
  },
  {
    name: "a stored entry is judged by what the process happens to know",
    file: "src/load/shared-entries.ts",
    find: `if (!(await this.#follower.reach(head.control))) return undefined;`,
    replace: `await Promise.resolve();`,
    weather: "pushes",
  },
  {
    name: "a written entry is kept in memory whatever was invalidated meanwhile",
    file: "src/write/writes.ts",
    find: `    if (control > fields.position || `,
    replace: `    if (control > Number.POSITIVE_INFINITY || `,
    weather: "fair",
  },
  {
    name: "memory answers however long nothing was heard",
    file: "src/invalidation/follower.ts",
    find: `now - Math.max(this.#heardAt, since) <= maxStaleness;`,
    replace: `now >= since;`,
    weather: "bounded",
  },
  {
    name: "a strict read asks nobody",
    file: "src/load/loads.ts",
    find: `if (await side.follower.confirm()) return`,
    replace: `if (path !== "") return`,
    weather: "strict",
  },
  {
    name: "marks go to one shard only",
    file: "src/invalidation/invalidations.ts",
    find: `    else for (const side of sides.all) add(side, mark);`,
    replace: `    else add(sides.all[0], mark);`,
    weather: "shards",
  },
  {
    name: "what a failover lost is not sent again",
    file: "src/invalidation/follower.ts",
    find: `    if (known !== undefined) this.#rewritten(known);`,
    replace: `    if (known !== undefined && since < 0) this.#rewritten(known);`,
    weather: "failover",
  },
  {
    name: "a head older than what the server named before is taken as it is",
    file: "src/invalidation/follower.ts",
    find: `      const wentBack = head.position < given;`,
    replace: `      const wentBack = head.position < given && head.position < 0;`,
    weather: "failover",
  },
  {
    name: "what is fed is believed however long the feed told nothing",
    file: "src/feed/feed-bound.ts",
    find: `return now - Math.max(this.#completeAt, since) <= this.#maxStaleness;`,
    replace: `return now >= since;`,
    weather: "feed",
  },
  {
    name: "a fed entry is as young as the end of its load",
    file: "src/load/loads.ts",
    find: `counters, knowledge, createdAt - took);`,
    replace: `counters, knowledge, createdAt);`,
    weather: "feed",
  },
  {
    name: "entries of the shared tier are believed though nobody knows what changed since",
    file: "src/load/shared-entries.ts",
    find: `if (!knowledge.vouched(now))`,
    replace: `if (spec.policy.fed && !knowledge.heard(now))`,
    weather: "feed",
  },
  {
    name: "a shared tier that comes back is believed while the log is unheard, whatever its feed says",
    file: "src/load/shared-entries.ts",
    find: `if (!knowledge.vouched(now))`,
    replace: `if (!knowledge.vouched(now) && knowledge.heard(now))`,
    weather: "feed",
  },
  {
    name: "readers join a flight that began before the bound",
    file: "src/load/loads.ts",
    find: `sides.knowledgeOf(path, spec.policy.fed).trusted(clock.now(), flight.startedAt);`,
    replace: `sides.knowledgeOf(path, false).trusted(clock.now(), flight.startedAt);`,
    weather: "feed",
  },
  {
    name: "what a feed publishes is not waited for",
    file: "src/feed/feeding.ts",
    find: `await this.#invalidations.invalidate(all.slice(start, start + MAX_TARGET_KEYS), false);`,
    replace: `this.#invalidations.invalidate(all.slice(start, start + MAX_TARGET_KEYS), false).catch(() => undefined);`,
    weather: "feed",
  },
  {
    name: "a feed that forgets leaves what is stored",
    file: "src/feed/feeding.ts",
    find: `    await this.#invalidations.invalidate([{ kind: "all" }], false);
`,
    replace: "",
    weather: "feed",
  },
  {
    name: "the feed publishes what nobody sees yet",
    file: "test/simulation/feed-leader.ts",
    find: `filter(({ xid }) => isVisible(xid, snapshot))`,
    replace: `filter(({ xid }) => xid < snapshot.xmax)`,
    weather: "feed",
  },
  {
    name: "the feed acknowledges what is not published",
    file: "test/simulation/feed-leader.ts",
    find: `    const lsn = this.#safe();
`,
    replace: `    const lsn = this.#received;
`,
    weather: "feed",
  },
  {
    name: "the feed does not mind that its slot was lost",
    file: "test/simulation/feed-leader.ts",
    find: `if (note?.epoch === this.#stream?.epoch) {`,
    replace: `if (this.#stream !== undefined) {`,
    weather: "feed",
  },
  {
    name: "a feed that stands by goes by the leader's note without having heard what it published",
    file: "test/simulation/feed.ts",
    find: `if (barrier === undefined || !(await sink.catchUp())) return;`,
    replace: `if (barrier === undefined) return;`,
    weather: "standby",
  },
  {
    name: "a slow load has an entry served that nobody vouches for",
    file: "src/load/loads.ts",
    find: ` || !stale.knowledge.trusted(now, stale.loadedAt)) return undefined;`,
    replace: `) return undefined;`,
    weather: "feed",
  },
];
