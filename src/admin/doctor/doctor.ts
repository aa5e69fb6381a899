import type { Cache } from "../../api.js";
import type { Clock } from "../../clock.js";
import type { ProcessReport } from "../report.js";
import { checkCode } from "./code-checks.js";
import { checkEntries, readEntities, type StoredEntity } from "./entry-checks.js";
import { findings, type Finding } from "./finding.js";
import { checkKeys } from "./key-checks.js";
import { checkProcesses } from "./process-checks.js";
import { reasonOf } from "./reasons.js";
import { checkRedis, type RedisCommand } from "./redis-checks.js";
import { checkSizes } from "./size-check.js";

/** What was found in one cache, its code, its entries, its processes and its server. */
export interface Examination {
  readonly cache: string;
  /** When it was looked at; milliseconds of the wall clock. */
  readonly at: number;
  /** Milliseconds that looking took. */
  readonly took: number;
  readonly findings: readonly (Finding & {
    /** Why it matters, of what does. */
    readonly why: string | undefined;
  })[];
}

/** How long an examination is good for: who asks again sooner gets the same. */
const GOOD_FOR = 10_000;
/** Longest that one command may take; milliseconds. */
const BOUND = 3_000;
const MOST_KEYS = 5_000;
const FROM_OUTSIDE = "npx tiercache doctor";

/** Examines caches from inside a process that uses them: at most one examination of a cache at a time. Changes nothing. */
export class Doctor {
  readonly #clock: Clock;
  readonly #redis: RedisCommand | undefined;
  readonly #last = new Map<string, { at: number; readonly of: Promise<Examination> }>();

  constructor(clock: Clock, redis: RedisCommand | undefined) {
    this.#clock = clock;
    this.#redis = redis && bounded(redis, clock);
  }

  /** @param reports of the cache's processes, this one's too */
  examine(cache: Cache, reports: readonly ProcessReport[]): Promise<Examination> {
    const name = cache.inspect().cacheName;
    const last = this.#last.get(name);
    if (last !== undefined && this.#clock.now() - last.at < GOOD_FOR) return last.of;
    const of = this.#examine(cache, name, reports);
    const kept = { at: Number.POSITIVE_INFINITY, of };
    this.#last.set(name, kept);
    of.then(
      () => (kept.at = this.#clock.now()),
      // Told to whoever asked; the next one looks anew.
      () => this.#last.delete(name),
    );
    return of;
  }

  async #examine(cache: Cache, name: string, reports: readonly ProcessReport[]): Promise<Examination> {
    const begunAt = this.#clock.now();
    const stored = await readEntities(cache);
    const all = [
      ...codeOf(cache, stored),
      ...checkEntries(stored),
      ...checkProcesses(name, reports, stored),
      ...(await this.#serverOf(cache, name)),
      ...elsewhere(cache, name),
    ];
    const isSized = all.some(({ check, level }) => check === "large values" && level !== "skipped");
    const largest = reports.flatMap(({ sampled }) => sampled?.largest ?? []);
    if (!isSized) all.push(checkSizes(stored, largest));
    return {
      cache: name,
      at: this.#clock.wall(),
      took: this.#clock.now() - begunAt,
      findings: all.map((finding) => ({ ...finding, why: reasonOf(finding) })),
    };
  }

  /** What the server of a Redis says, where somebody who may ask it was given. */
  async #serverOf(cache: Cache, name: string): Promise<readonly Finding[]> {
    if (cache.stats().shared?.kind !== "redis") return [];
    if (this.#redis === undefined)
      return [
        findings("redis")(
          "server",
          "skipped",
          "it was not asked: version, maxmemory and its policy, ttl of every key, ACL, clock",
          `createAdmin(cache, { redis: (...words) => client.sendCommand(words) }), or REDIS_URL=… ${FROM_OUTSIDE} --name ${name}`,
        ),
      ];
    try {
      const server = await checkRedis(this.#redis, [name]);
      const keys = await checkKeys(this.#redis, name, MOST_KEYS, () => undefined);
      return [...server, ...keys.findings];
    } catch (error) {
      return [
        findings("redis")(
          "server",
          "warn",
          `it was asked and said: ${error instanceof Error ? error.message : String(error)}`,
          `REDIS_URL=… ${FROM_OUTSIDE} --name ${name}, as a user that may ask INFO, TIME, ACL and SCAN`,
        ),
      ];
    }
  }
}

/** A process that only looks has not the code: what it does not declare says nothing. */
function codeOf(cache: Cache, stored: readonly StoredEntity[]): readonly Finding[] {
  const { memory, total } = cache.stats();
  if (memory !== undefined || total.gets > 0 || cache.inspect().entities.length > 0) return checkCode(cache, stored);
  return [
    findings("code")(
      "entities",
      "skipped",
      "this process declares nothing and has read nothing: it looks on",
      `the dashboard of a process that serves, or ${FROM_OUTSIDE} --module src/cache.ts`,
    ),
  ];
}

/** What cannot be tried by a process that serves. */
function elsewhere(cache: Cache, name: string): readonly Finding[] {
  const { shared, feed } = cache.stats();
  const all: Finding[] = [];
  if (shared?.kind === "redis")
    all.push(
      findings("fallback")(
        "redis away",
        "skipped",
        "what reads do without their Redis is not tried in a process that serves",
        `REDIS_URL=… ${FROM_OUTSIDE} --name ${name}`,
      ),
    );
  if (feed !== undefined)
    all.push(
      findings("postgres")(
        "database",
        "skipped",
        "the feed's was not asked: wal_level, publication, slot and the log kept for it",
        `DATABASE_URL=… ${FROM_OUTSIDE}`,
      ),
    );
  return all;
}

/** A client without a connection may keep a command for ever. */
function bounded(command: RedisCommand, clock: Clock): RedisCommand {
  return (...words) =>
    new Promise((resolve, reject) => {
      const timer = clock.after(BOUND, () => reject(new Error(`no answer to ${words[0] ?? ""} within ${BOUND} ms`)));
      command(...words)
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
}
