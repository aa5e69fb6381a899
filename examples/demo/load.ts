import type { Database } from "../tracker/database.js";
import { Connection, type Answer } from "./connection.js";
import { Histogram } from "./histogram.js";
import type { Random } from "../tracker/random.js";
import { DELETED, type StalenessChecker } from "./staleness.js";
import type { Operation, Workload } from "./workload.js";

export interface LoadOptions {
  /** The workers' ports. */
  readonly ports: readonly number[];
  readonly connections: number;
  readonly workload: Workload;
  /** Names the issue of each read; a random choice when left out. */
  readonly readKey?: (() => number | Promise<number>) | undefined;
  /** Share of operations beside which a row is changed past the API. */
  readonly outOfBand: number;
  readonly random: Random;
  readonly database: Database;
  readonly checker: StalenessChecker;
}

/** One in this many lists is read item by item for the check. */
const LIST_SAMPLE = 4;
/** Changes past the API under way at once. */
const MAX_OUT_OF_BAND = 8;
const MAX_MESSAGES = 3;

const CHANGE_PAST_THE_API =
  "update issues set priority = case priority when 'high' then 'low' else 'high' end where id = $1 returning version";

/** A closed loop: each connection sends its next request when it has its answer. */
export class Load {
  /** Of the requests since it began, or since `beginMeasuring`. */
  readonly latency: Histogram = new Histogram();
  /** Since the last `takeWindow`. */
  readonly window: Histogram = new Histogram();
  requests = 0;
  writes = 0;
  outOfBandWrites = 0;
  errors = 0;
  /** The first failures, in words. */
  readonly messages: string[] = [];
  readonly #options: LoadOptions;
  readonly #outOfBandUnderWay = new Set<Promise<void>>();
  #stopped = false;
  #lists = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Runs until `stop`; every request has its answer when it resolves. @throws whatever the source of keys throws */
  async run(): Promise<void> {
    const loops = Array.from({ length: this.#options.connections }, (_, index) =>
      this.#loop(index % this.#options.ports.length),
    );
    const results = await Promise.allSettled(loops);
    await Promise.all(this.#outOfBandUnderWay);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      throw failed.reason;
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Forgets the requests so far; errors stay. */
  beginMeasuring(): void {
    this.latency.clear();
    this.requests = 0;
    this.writes = 0;
    this.outOfBandWrites = 0;
  }

  async #loop(worker: number): Promise<void> {
    const connection = new Connection(this.#options.ports[worker] ?? 0);
    const { workload, readKey } = this.#options;
    try {
      while (!this.#stopped) {
        const drawn = workload.next(readKey);
        const operation = drawn instanceof Promise ? await drawn : drawn;
        this.#maybeChangePastTheApi();
        await this.#perform(connection, worker, operation);
      }
    } catch (error) {
      // The others would go on until the phase ends, with nobody to hear what is wrong.
      this.stop();
      throw error;
    } finally {
      connection.close();
    }
  }

  async #perform(connection: Connection, worker: number, operation: Operation): Promise<void> {
    const startedAt = performance.now();
    let answer: Answer;
    try {
      answer = await connection.request(operation.method, operation.path, operation.body);
    } catch (error) {
      this.#fail(operation, error instanceof Error ? error.message : String(error));
      // A worker that is gone would otherwise be asked as fast as the loop can turn.
      await new Promise((resolve) => setTimeout(resolve, 20));
      return;
    }
    const answeredAt = performance.now();
    this.latency.record(answeredAt - startedAt);
    this.window.record(answeredAt - startedAt);
    this.requests += 1;
    if (operation.method === "GET") {
      this.#checkRead(operation, answer, startedAt, worker);
    } else {
      this.writes += 1;
      this.#noteWrite(operation, answer, answeredAt, worker);
    }
  }

  #checkRead(operation: Operation, answer: Answer, startedAt: number, worker: number): void {
    const { checker, workload } = this.#options;
    if (answer.status === 404 && operation.kind === "issue") {
      const meaning = workload.meaningOfMissing(operation.id, operation.path.split("/")[2] ?? "");
      if (meaning === "absent") {
        checker.read(operation.id, 0, startedAt, worker);
      }
      if (meaning !== "wrong") {
        return;
      }
    }
    if (answer.status !== 200) {
      this.#fail(operation, `status ${answer.status}`);
      return;
    }
    switch (operation.kind) {
      case "issue": {
        // Only what was written can be stale; nothing else is worth the parsing.
        if (!checker.knows(operation.id) && !checker.knows(-workload.projectOfIssue(operation.id))) {
          break;
        }
        const issue = parse<{ id: number; version: number; projectId: number; projectVersion: number }>(answer);
        checker.read(issue.id, issue.version, startedAt, worker);
        checker.read(-issue.projectId, issue.projectVersion, startedAt, worker);
        break;
      }
      case "project":
        if (checker.knows(-operation.id)) {
          checker.read(-operation.id, parse<{ version: number }>(answer).version, startedAt, worker);
        }
        break;
      case "issues":
        this.#lists += 1;
        if (this.#lists % LIST_SAMPLE === 0) {
          for (const issue of parse<{ issues: { id: number; version: number }[] }>(answer).issues) {
            checker.read(issue.id, issue.version, startedAt, worker);
          }
        }
        break;
      default:
    }
  }

  #noteWrite(operation: Operation, answer: Answer, ackedAt: number, worker: number): void {
    const { checker, workload } = this.#options;
    if (answer.status !== 200) {
      this.#fail(operation, `status ${answer.status}: ${answer.body.toString("utf8", 0, 200)}`);
      return;
    }
    const wrote = (row: number, version: number): void => checker.wrote(row, { version, ackedAt, by: "api", worker });
    switch (operation.kind) {
      case "patch-issue":
        wrote(operation.id, parse<{ version: number }>(answer).version);
        break;
      case "patch-issues":
        for (const issue of parse<{ issues: { id: number; version: number }[] }>(answer).issues) {
          wrote(issue.id, issue.version);
        }
        break;
      case "patch-project":
        wrote(-operation.id, parse<{ version: number }>(answer).version);
        break;
      case "post-issue": {
        const issue = parse<{ id: number; version: number; tenantId: string }>(answer);
        wrote(issue.id, issue.version);
        workload.created(issue.id, issue.tenantId);
        break;
      }
      case "delete-issue":
        wrote(operation.id, DELETED);
        break;
      default:
    }
  }

  #maybeChangePastTheApi(): void {
    const { random, outOfBand, workload, database, checker } = this.#options;
    if (outOfBand === 0 || random.next() >= outOfBand || this.#outOfBandUnderWay.size >= MAX_OUT_OF_BAND) {
      return;
    }
    const id = workload.hotIssue();
    const change = database.query<{ version: number }>(CHANGE_PAST_THE_API, [id]).then(
      ([row]) => {
        // The statement is its own transaction: its answer comes after its commit.
        if (row !== undefined) {
          this.outOfBandWrites += 1;
          checker.wrote(id, { version: row.version, ackedAt: performance.now(), by: "out-of-band", worker: undefined });
        }
      },
      (error: unknown) => this.#fail(undefined, error instanceof Error ? error.message : String(error)),
    );
    const tracked: Promise<void> = change.finally(() => this.#outOfBandUnderWay.delete(tracked));
    this.#outOfBandUnderWay.add(tracked);
  }

  #fail(operation: Operation | undefined, why: string): void {
    this.errors += 1;
    if (this.messages.length < MAX_MESSAGES) {
      this.messages.push(
        operation === undefined ? `SQL past the API: ${why}` : `${operation.method} ${operation.path}: ${why}`,
      );
    }
  }
}

function parse<T>(answer: Answer): T {
  return JSON.parse(answer.body.toString("utf8")) as T;
}
