import { randomBytes } from "node:crypto";
import cluster, { type Worker } from "node:cluster";

import { systemClock, type Clock, type Timer } from "../clock.js";
import { CacheError } from "../errors.js";
import type { PurgeTarget } from "../http/purge.js";
import { AdminServer, type AdminHandler } from "./admin.js";
import type { GatewayConfig } from "./config.js";
import { resolveConfig, type ResolvedConfig } from "./resolve-config.js";
import type { WorkerMessage, WorkerRequest } from "./worker.js";

/** What happens to a worker. */
export type WorkerEvent =
  | { readonly type: "listening"; readonly pid: number }
  | { readonly type: "exited"; readonly pid: number; readonly how: string; readonly restartIn: number };

export interface SupervisorOptions {
  readonly workers: number;
  /** Reads the configuration again. */
  readonly load: () => Promise<GatewayConfig>;
  /** What workers find in their environment besides this process's, with the gateway as it is in Via. */
  readonly environment: (via: string) => Readonly<Record<string, string>>;
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** A gateway of several processes. */
export interface GatewaySupervisor {
  readonly url: string;
  readonly adminPort: number | undefined;
  /** The workers that listen, by process. */
  pids(): readonly number[];
  /** In every worker; a configuration that does not hold changes none. */
  reload(): Promise<void>;
  purge(targets: readonly PurgeTarget[], mode?: "hard" | "soft"): Promise<void>;
  stats(): Promise<unknown>;
  mount(prefix: string, handler: AdminHandler): void;
  stop(): Promise<void>;
}

/** First wait before a worker that ended soon is replaced, doubled each time up to the longest; milliseconds. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 10_000;
/** One that lived so long has not failed to begin. */
const LONG_ENOUGH = 10_000;
/** Longest wait for a worker's answer, and past its requests for its end. */
const PATIENCE = 10_000;

interface Ask {
  readonly worker: Worker;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

/**
 * Starts the processes of a gateway by running this program again, keeps as many of them as there should be, and is the one that
 * operators talk to. Clients' connections are given to the workers in turn.
 *
 * @throws CacheError `ERR_CACHE_OPTION` when the first workers cannot begin.
 */
export async function superviseGateway(config: GatewayConfig, options: SupervisorOptions): Promise<GatewaySupervisor> {
  const supervisor = new Supervisor(resolveConfig(config), options);
  await supervisor.start();
  return supervisor;
}

class Supervisor implements GatewaySupervisor {
  readonly #config: ResolvedConfig;
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #via: string;
  readonly #admin: AdminServer | undefined;
  readonly #listening = new Set<Worker>();
  readonly #asked = new Map<number, Ask>();
  readonly #restarts = new Set<Timer>();
  /** Workers in a row that ended soon after they began. */
  #soon = 0;
  #asks = 0;
  #isStopping = false;
  url = "";
  adminPort: number | undefined;

  constructor(config: ResolvedConfig, options: SupervisorOptions) {
    this.#config = config;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#via = `${config.name}-${randomBytes(4).toString("hex")}`;
    if (config.admin === undefined) return;
    this.#admin = new AdminServer(config.admin, {
      ready: async () => this.#isReady(),
      stats: () => this.stats(),
      purge: (targets, mode) => this.purge(targets, mode),
      reload: () => this.reload(),
    });
  }

  async start(): Promise<void> {
    const first = Array.from({ length: this.#options.workers }, () => this.#fork());
    try {
      const [url] = await Promise.all(first);
      this.url = url ?? "";
      this.adminPort = (await this.#admin?.open())?.port;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  pids(): readonly number[] {
    return [...this.#listening].flatMap(({ process: { pid } }) => (pid === undefined ? [] : [pid]));
  }

  async reload(): Promise<void> {
    // Looked at here before any of them is told: all of them go on by it, or none.
    resolveConfig(await this.#options.load());
    await this.#askAll({ ask: "reload" });
  }

  async purge(targets: readonly PurgeTarget[], mode: "hard" | "soft" = "hard"): Promise<void> {
    await this.#askAll({ ask: "purge", targets, mode });
  }

  async stats(): Promise<unknown> {
    const workers = [...this.#listening];
    const stats = await Promise.all(workers.map((worker) => this.#ask(worker, { ask: "stats" })));
    return { workers: workers.map((worker, index) => ({ pid: worker.process.pid, ...(stats[index] as object) })) };
  }

  mount(prefix: string, handler: AdminHandler): void {
    this.#admin?.mount(prefix, handler);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const timer of this.#restarts) timer.cancel();
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    await Promise.all(workers.map((worker) => this.#end(worker)));
    await this.#admin?.close();
  }

  async #isReady(): Promise<boolean> {
    const ready = await Promise.all([...this.#listening].map((worker) => this.#ask(worker, { ask: "ready" })));
    return !this.#isStopping && ready.length > 0 && ready.every((one) => one === true);
  }

  /** Ends a worker by its own means within the time that requests have, else at once. */
  async #end(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    const kill = this.#clock.after(
      this.#config.limits.shutdownTimeout + PATIENCE,
      () => worker.process.kill("SIGKILL"),
      true,
    );
    worker.process.kill("SIGTERM");
    await ended;
    kill.cancel();
  }

  /** Begins a worker. Resolves with its address, and rejects when it ends before it has one. */
  #fork(): Promise<string> {
    const began = this.#clock.now();
    const worker = cluster.fork(this.#options.environment(this.#via));
    return new Promise<string>((resolve, reject) => {
      worker.on("message", (message: WorkerMessage) => {
        if (message.said === "answer") return this.#answered(message);
        if (message.said === "failed") return reject(new CacheError("ERR_CACHE_OPTION", message.message));
        this.#listening.add(worker);
        this.#options.onEvent?.({ type: "listening", pid: worker.process.pid ?? 0 });
        resolve(message.url);
      });
      worker.on("error", reject);
      worker.once("exit", (code, signal) => {
        reject(new CacheError("ERR_CACHE_OPTION", `A worker ended before it listened (${signal ?? code})`));
        this.#exited(worker, signal ?? `exit code ${code}`, this.#clock.now() - began);
      });
    });
  }

  #exited(worker: Worker, how: string, lived: number): void {
    this.#listening.delete(worker);
    for (const [id, ask] of this.#asked) if (ask.worker === worker) this.#settle(id)?.resolve(undefined);
    // The first ones are not replaced: whoever starts a gateway that cannot begin is told so.
    if (this.#isStopping || this.url === "") return;
    this.#soon = lived < LONG_ENOUGH ? this.#soon + 1 : 0;
    const restartIn = this.#soon < 2 ? 0 : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.#soon - 2));
    this.#options.onEvent?.({ type: "exited", pid: worker.process.pid ?? 0, how, restartIn });
    const timer = this.#clock.after(
      restartIn,
      () => {
        this.#restarts.delete(timer);
        // Its end is heard above, and another is tried.
        this.#fork().catch(() => undefined);
      },
      true,
    );
    this.#restarts.add(timer);
  }

  async #askAll(request: Asked): Promise<void> {
    await Promise.all([...this.#listening].map((worker) => this.#ask(worker, request)));
  }

  /** A worker's answer; `undefined` when it ends meanwhile: with it goes what it knew. */
  #ask(worker: Worker, request: Asked): Promise<unknown> {
    this.#asks += 1;
    const id = this.#asks;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(PATIENCE, () => {
        this.#settle(id)?.reject(new CacheError("ERR_CACHE_TIMEOUT", `Worker ${worker.process.pid} did not answer`));
      });
      this.#asked.set(id, { worker, resolve, reject, timer });
      const message: WorkerRequest = { id, ...request };
      worker.send(message, (error) => {
        if (error !== null) this.#settle(id)?.resolve(undefined);
      });
    });
  }

  #answered({ id, result, error }: Extract<WorkerMessage, { said: "answer" }>): void {
    const ask = this.#settle(id);
    if (error === undefined) ask?.resolve(result);
    else ask?.reject(new CacheError("ERR_CACHE_TIER", error));
  }

  #settle(id: number): Ask | undefined {
    const ask = this.#asked.get(id);
    this.#asked.delete(id);
    ask?.timer.cancel();
    return ask;
  }
}

type Asked = WorkerRequest extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;
