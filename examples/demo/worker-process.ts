import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  NO_COUNTERS,
  type FeedRole,
  type FromWorker,
  type ToWorker,
  type WorkerCounters,
  type WorkerSettings,
} from "./messages.js";
import { within } from "../../scripts/servers/within.js";

const START_TIMEOUT = 60_000;
const REPORT_TIMEOUT = 5_000;
const STOP_TIMEOUT = 3_000;

type Ready = Extract<FromWorker, { readonly type: "ready" }>;

/** The driver's end of one worker. */
export class WorkerProcess {
  readonly port: number;
  /** Where its cache is looked at. */
  readonly dashboard: string | undefined;
  /** Resolves with how it ended, whoever ended it. */
  readonly exited: Promise<string>;
  /** As it last reported. */
  counters: WorkerCounters = NO_COUNTERS;
  /** As it last reported; `undefined` without a cache. */
  feed: FeedRole | undefined;
  /** Its own errors, the first few. */
  readonly errors: string[] = [];
  readonly #child: ChildProcess;
  #onFinal: ((counters: WorkerCounters) => void) | undefined;
  #onWeight: ((heap: number) => void) | undefined;

  private constructor(child: ChildProcess, exited: Promise<string>, ready: Ready) {
    this.#child = child;
    this.exited = exited;
    this.port = ready.port;
    this.dashboard = ready.dashboard;
    child.on("message", (message: FromWorker) => this.#onMessage(message));
  }

  /** Resolves when it answers requests. @throws Error when it does not come up */
  static async start(settings: WorkerSettings): Promise<WorkerProcess> {
    const child = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), [], {
      execArgv: loaderArguments(process.execArgv),
      // Stdout is the driver's alone: it may be one JSON document.
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const exited = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${String(code)}` : `signal ${signal}`));
    });
    try {
      return new WorkerProcess(child, exited, await readyOf(child, exited, settings));
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** Counters of this moment. */
  async report(): Promise<WorkerCounters> {
    const answer = new Promise<WorkerCounters>((resolve) => (this.#onFinal = resolve));
    this.#send({ type: "report" });
    return within(answer, REPORT_TIMEOUT, "A worker did not report");
  }

  /** Bytes that live in its heap, all garbage collected. */
  async weigh(): Promise<number> {
    const answer = new Promise<number>((resolve) => (this.#onWeight = resolve));
    this.#send({ type: "weigh" });
    return within(answer, REPORT_TIMEOUT, "A worker did not weigh itself");
  }

  /** Lets it close what it opened; ends it when it does not. */
  async stop(): Promise<void> {
    this.#send({ type: "stop" });
    try {
      await within(this.exited, STOP_TIMEOUT, "A worker did not stop");
    } catch {
      await this.kill();
    }
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  #send(message: ToWorker): void {
    // A worker that has ended: whoever waits for `exited` hears of it.
    this.#child.send(message, () => undefined);
  }

  #onMessage(message: FromWorker): void {
    switch (message.type) {
      case "counters":
        this.counters = message.counters;
        this.feed = message.feed;
        if (message.final) {
          this.#onFinal?.(message.counters);
        }
        break;
      case "weight":
        this.#onWeight?.(message.heap);
        break;
      case "error":
        if (this.errors.length < 3) {
          this.errors.push(message.message);
        }
        break;
      case "ready":
        break;
    }
  }
}

async function readyOf(child: ChildProcess, exited: Promise<string>, settings: WorkerSettings): Promise<Ready> {
  const start: ToWorker = { type: "start", settings };
  child.send(start, () => undefined);
  const answer = new Promise<Ready>((resolve, reject) => {
    child.once("message", (message: FromWorker) => {
      if (message.type === "ready") {
        resolve(message);
      } else {
        reject(new Error(`A worker did not start: ${message.type === "error" ? message.message : message.type}`));
      }
    });
    void exited.then((how) => reject(new Error(`A worker ended while starting (${how})`)));
  });
  return within(answer, START_TIMEOUT, "A worker did not start");
}

/** The driver runs TypeScript through a loader, which its children need too. */
function loaderArguments(own: readonly string[]): string[] {
  return own.some((argument) => argument.includes("tsx")) ? [...own] : [...own, "--import", import.meta.resolve("tsx")];
}
