import { createClient } from "redis";

import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.js";
import { startRedisSentinels, type RedisSentinels } from "../support/redis-sentinel.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { Ledger, olderThan, type Judgement } from "./ledger.js";
import type { Measured, Verdict } from "./figures.js";
import { tenth } from "./figures.js";
import { ABILITIES, type Abilities } from "./peers/abilities.js";
import {
  keysOf,
  now,
  type How,
  type KeySpace,
  type PeerName,
  type ReadPlan,
  type Sample,
  type WorkerSettings,
  type WriteRecord,
} from "./protocol.js";
import { openProxy, type Proxy } from "./proxy.js";
import { placeOf, type Servers } from "./servers.js";
import { Source } from "./source.js";
import type { WorkerProcess } from "./worker-process.js";
import type { Workers } from "./workers.js";

/** An administrator's connection: what is done to a server behind the caches' backs. */
export type Admin = (command: readonly string[]) => Promise<unknown>;

/** How long stale values may take to go once the last fault is over, and how often it is looked. */
const QUIET = { most: 6_000, every: 250, first: 300 } as const;

/** One worker and its cache in this scenario. */
export interface Member {
  readonly worker: WorkerProcess;
  readonly name: string;
  /** In front of its command connection and of its subscription, when it was opened through proxies. */
  readonly commands: Proxy | undefined;
  readonly bus: Proxy | undefined;
}

/** What a scenario works with. Whatever it starts ends with it. */
export class Harness {
  readonly peer: PeerName;
  readonly size: "small" | "full";
  readonly source: Source = new Source();
  readonly ledger: Ledger = new Ledger();
  readonly #workers: Workers;
  readonly #members: Member[] = [];
  readonly #dead = new Set<string>();
  readonly #closers: (() => Promise<unknown> | void)[] = [];

  constructor(peer: PeerName, size: "small" | "full", workers: Workers) {
    this.peer = peer;
    this.size = size;
    this.#workers = workers;
  }

  get abilities(): Abilities {
    return ABILITIES[this.peer];
  }

  /** This many in the full size, that many in the small one. */
  sized(full: number, small: number): number {
    return this.size === "full" ? full : small;
  }

  /** The ways of invalidating that the library has, of those wanted. */
  hows(...wanted: readonly How[]): How[] {
    return wanted.filter((how) => this.abilities.hows.includes(how));
  }

  async redis(args: readonly string[] = []): Promise<RedisServer> {
    const server = await startRedis({ args });
    this.#closers.push(() => server.stop());
    return server;
  }

  /** A master with a replica, and the sentinel that watches them. */
  async sentinels(): Promise<RedisSentinels> {
    const sentinels = await startRedisSentinels();
    this.#closers.push(() => sentinels.stop());
    return sentinels;
  }

  /** Three masters, with a replica each. */
  async cluster({ replicas = 1 }: { readonly replicas?: number | undefined } = {}): Promise<RedisCluster> {
    const cluster = await startRedisCluster({ replicas });
    this.#closers.push(() => cluster.stop());
    return cluster;
  }

  async admin(server: RedisServer): Promise<Admin> {
    const client = createClient({ url: server.url });
    client.on("error", () => undefined);
    await client.connect();
    this.#closers.push(() => client.destroy());
    return (command) => client.sendCommand(command);
  }

  /** Opens caches on one server, sentinels or a cluster, each in a process of its own. Only of one there may be proxies. */
  async open(
    servers: Servers,
    settings: readonly (Partial<WorkerSettings> & { readonly proxied?: boolean | undefined })[],
  ): Promise<Member[]> {
    const workers = await this.#workers.lend(settings.length);
    return Promise.all(
      settings.map(async ({ proxied, ...own }, index) => {
        const worker = workers[index] as WorkerProcess;
        worker.source = this.source;
        const place = placeOf(servers);
        const [commands, bus] =
          proxied === true && "port" in servers ? await Promise.all([this.#proxy(servers), this.#proxy(servers)]) : [];
        const member: Member = { worker, name: worker.name, commands, bus };
        this.#members.push(member);
        await worker.send({
          type: "open",
          settings: {
            peer: this.peer,
            redis: commands === undefined ? place : { kind: "server", url: commands.url, busUrl: bus?.url },
            ttl: 600_000,
            tagged: this.abilities.hows.includes("tag"),
            ...own,
          },
        });
        return member;
      }),
    );
  }

  /** SIGKILL. What it had committed and not invalidated is told by nobody. */
  async kill(member: Member): Promise<void> {
    this.#dead.add(member.name);
    await member.worker.kill();
  }

  /** One read of each key by each member. */
  async readAll(members: readonly Member[], keys: readonly string[]): Promise<Map<Member, Sample[]>> {
    const read = members.map(async (member): Promise<[Member, Sample[]]> => [
      member,
      await member.worker.send({ type: "read", keys }),
    ]);
    return new Map(await Promise.all(read));
  }

  async startReading(members: readonly Member[], plan: ReadPlan): Promise<void> {
    await Promise.all(members.map(({ worker }) => worker.send({ type: "start-reading", plan })));
  }

  /** Ends what they read and write, and enters it in the ledger. */
  async stop(members: readonly Member[]): Promise<Map<Member, { samples: Sample[]; writes: WriteRecord[] }>> {
    const done = new Map<Member, { samples: Sample[]; writes: WriteRecord[] }>();
    await Promise.all(
      members
        .filter(({ worker }) => worker.alive)
        .map(async (member) => {
          const writes = (await member.worker.send({ type: "stop-writing" })) ?? [];
          const samples = (await member.worker.send({ type: "stop-reading" })) ?? [];
          done.set(member, { samples, writes });
          this.ledger.add({ process: member.name, samples, writes });
        }),
    );
    return done;
  }

  /** Looks, for a while, until nobody gives anything too old; what is wrong at the end of it. */
  async quiet(
    members: readonly Member[],
    space: KeySpace | readonly string[],
  ): Promise<{ staleAfterQuiet: number; ackedAndLost: number; healedMs: number; errors: number; example: string }> {
    const keys = "groups" in space ? keysOf(space) : space;
    const from = now();
    await sleep(QUIET.first);
    for (;;) {
      const read = await this.readAll(members, keys);
      let [stale, lost, errors, example] = [0, 0, 0, ""];
      for (const [member, samples] of read) {
        const old = olderThan(samples, (key) => this.ledger.tried(key, this.#dead));
        stale += old.length;
        lost += olderThan(samples, (key) => this.ledger.acked(key)).length;
        errors += samples.filter((sample) => sample.error !== undefined).length;
        const [first] = old;
        if (first !== undefined) example = `${member.name} has ${first.key} v${first.version}`;
      }
      const healedMs = now() - from;
      if ((stale === 0 && errors === 0) || healedMs > QUIET.most)
        return { staleAfterQuiet: stale, ackedAndLost: lost, healedMs, errors, example };
      await sleep(QUIET.every);
    }
  }

  /** What nobody handled, anywhere. */
  async unhandled(): Promise<string[]> {
    const alive = this.#members.filter(({ worker }) => worker.alive);
    const reports = await Promise.all(alive.map(({ worker }) => worker.send({ type: "report" })));
    return reports.flatMap((report) => report.unhandled);
  }

  /**
   * The end of every scenario about coherence: quiet, and the judgement of all that was read and written.
   *
   * @param options.outage processes were without Redis for a while, so that writes may not be acknowledged. Between
   * versions that no acknowledgement tells apart, a process may then go back: one load answers from beside Redis, the
   * next from Redis. It is told, and no failure.
   * @param options.forgetful Redis lost what it had acknowledged, as it does when a replica that lags behind is promoted.
   * Until it has been told again, a process may miss its own write in what Redis gives it: that is told as well, and no
   * failure.
   */
  async judged(
    verdict: Verdict,
    members: readonly Member[],
    space: KeySpace | readonly string[],
    { outage = false, forgetful = false }: { readonly outage?: boolean; readonly forgetful?: boolean } = {},
  ): Promise<Measured & { readonly judgement: Judgement }> {
    const quiet = await this.quiet(members, space);
    const judgement = this.ledger.judge();
    const unhandled = await this.unhandled();
    const { ownStale, backwards, errorCount } = judgement;
    verdict.must(quiet.staleAfterQuiet === 0, `${quiet.staleAfterQuiet} stale after quiet: ${quiet.example}`);
    verdict.must(quiet.ackedAndLost === 0, `${quiet.ackedAndLost} acknowledged invalidations lost`);
    const own = `${ownStale.length} reads missed their own write: ${ownStale[0] ?? ""}`;
    if (forgetful) verdict.aim(ownStale.length === 0, own);
    else verdict.must(ownStale.length === 0, own);
    verdict.must(quiet.errors === 0, `${quiet.errors} reads rejected after quiet`);
    const back = `${backwards.length} reads went backwards: ${backwards[0] ?? ""}`;
    if (outage) verdict.aim(backwards.length === 0, back);
    else verdict.must(backwards.length === 0, back);
    verdict.must(
      errorCount === 0,
      `${errorCount} reads rejected: ${[...judgement.errors].map(([text, n]) => `${n} × ${text}`).join(", ")}`,
    );
    verdict.must(unhandled.length === 0, `${unhandled.length} unhandled: ${unhandled[0] ?? ""}`);
    return {
      staleAfterQuiet: quiet.staleAfterQuiet,
      ackedAndLost: quiet.ackedAndLost,
      ownStale: ownStale.length,
      backwards: backwards.length,
      largestStaleness: tenth(judgement.largestStaleness),
      errors: errorCount + quiet.errors,
      unhandled: unhandled.length,
      recoveryMs: tenth(quiet.healedMs),
      judgement,
    };
  }

  /** Ends everything, whatever state it is in. */
  async close(): Promise<void> {
    await this.#workers.takeBack(this.#members.map(({ worker }) => worker));
    for (const close of this.#closers.toReversed()) await close();
  }

  async #proxy(server: RedisServer): Promise<Proxy> {
    const proxy = await openProxy(server.port);
    this.#closers.push(() => proxy.close());
    return proxy;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
