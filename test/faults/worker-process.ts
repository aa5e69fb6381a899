import { fork, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

import type { Answers, Command, FromWorker, Row, ToWorker } from "./protocol.js";
import { within } from "../../scripts/servers/within.js";

const START_TIMEOUT = 30_000;
/** The longest any command may take; the longest plans end their own waiting before. */
const ANSWER_TIMEOUT = 30_000;

/** Who answers a worker's questions. */
export interface SourceOf {
  query(key: string, by: string): Promise<Row>;
  commit(keys: readonly string[]): readonly Row[];
}

/** The harness's end of one worker process. */
export class WorkerProcess {
  readonly name: string;
  /** Answers the loads of the scenario now running. */
  source: SourceOf | undefined;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #sent = 0;
  #alive = true;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once("exit", () => resolve()));
    void this.#exited.then(() => {
      this.#alive = false;
      for (const { reject } of this.#waiting.values()) reject(new Error(`${name} has ended`));
      this.#waiting.clear();
    });
    child.on("message", (message: FromWorker) => this.#hear(message));
  }

  /** Resolves when it takes commands. */
  static async start(name: string): Promise<WorkerProcess> {
    const loader = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const child = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), [], {
      execArgv: ["--import", loader],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${name} ended with ${String(code)} while starting`)));
    });
    try {
      await within(ready, START_TIMEOUT, `${name} did not start`);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    return new WorkerProcess(name, child);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** @throws Error when the worker failed at it, ended, or did not answer in time. */
  send<C extends Command>(command: C, timeout: number = ANSWER_TIMEOUT): Promise<Answers[C["type"]]> {
    this.#sent += 1;
    const id = this.#sent;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#tell({ type: "command", id, command });
    if (!this.#alive) return Promise.reject(new Error(`${this.name} has ended`));
    return within(answer as Promise<Answers[C["type"]]>, timeout, `${this.name} did not answer ${command.type}`);
  }

  /** SIGSTOP: nothing of it runs, its connections stay. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  #tell(message: ToWorker): void {
    // To one that has ended: whoever waits for its answer hears of it.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  #hear(message: FromWorker): void {
    switch (message.type) {
      case "ready":
        return;
      case "answer": {
        const waiting = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.error === undefined) waiting?.resolve(message.value);
        else waiting?.reject(new Error(`${this.name}: ${message.error}`));
        return;
      }
      case "load":
        this.source?.query(message.key, this.name).then(
          (row) => this.#tell({ type: "loaded", id: message.id, row }),
          (error: unknown) => this.#tell({ type: "loaded", id: message.id, error: String(error) }),
        );
        return;
      case "commit":
        this.#tell({ type: "committed", id: message.id, rows: this.source?.commit(message.keys) ?? [] });
    }
  }
}
