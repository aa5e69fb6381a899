import { WorkerProcess } from "./worker-process.js";

/** Longest wait for a worker to close its cache; then it is ended instead. */
const CLOSE_TIMEOUT = 12_000;

/** Worker processes, started once and lent to one scenario after the other: starting one takes most of a second. */
export class Workers {
  readonly #idle: WorkerProcess[] = [];
  readonly #all = new Set<WorkerProcess>();
  readonly #end = (): void => {
    for (const worker of this.#all) void worker.kill();
  };
  #started = 0;

  constructor() {
    process.once("exit", this.#end);
  }

  async lend(count: number): Promise<WorkerProcess[]> {
    const idle = this.#idle.splice(0, count);
    const started = await Promise.all(Array.from({ length: count - idle.length }, () => this.#start()));
    return [...idle, ...started];
  }

  /** Takes them back with their caches closed; one that does not close is ended. */
  async takeBack(workers: readonly WorkerProcess[]): Promise<void> {
    await Promise.all(
      workers.map(async (worker) => {
        try {
          worker.thaw();
          await worker.send({ type: "close" }, CLOSE_TIMEOUT);
          worker.source = undefined;
          this.#idle.push(worker);
        } catch {
          // Dead, or as good as dead: a scenario may have made it so.
          await worker.kill();
          this.#all.delete(worker);
        }
      }),
    );
  }

  async close(): Promise<void> {
    process.off("exit", this.#end);
    await Promise.all([...this.#all].map((worker) => worker.kill()));
    this.#all.clear();
    this.#idle.length = 0;
  }

  async #start(): Promise<WorkerProcess> {
    this.#started += 1;
    const worker = await WorkerProcess.start(`worker ${this.#started}`);
    this.#all.add(worker);
    return worker;
  }
}
