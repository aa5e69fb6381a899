import { type ChildProcess, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { guardServer, type Guard } from "./guard.js";

export interface ServerCommand {
  /** What it is, for messages: "PostgreSQL". */
  name: string;
  binary: string;
  args: readonly string[];
  /** Its temporary folder, removed when it has ended. */
  folder: string;
  /** The user it runs as; the caller's when left out. */
  user?: { uid: number; gid: number } | undefined;
  /** The text in its output that says it takes connections. */
  readyText: string;
  /** Asks it to end in order. */
  stopSignal: NodeJS.Signals;
  log?: ((line: string) => void) | undefined;
}

const START_TIMEOUT = 30_000;
const STOP_TIMEOUT = 5_000;
/** Lines of output kept for messages. */
const KEPT_LINES = 12;

/** A server process of ours: started, watched and stopped by its own pid, with a folder that goes when it goes. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves with how it ended, whoever ended it. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #command: ServerCommand;
  readonly #guard: Guard;
  readonly #output: string[] = [];
  #stopping: Promise<void> | undefined;

  private constructor(command: ServerCommand, child: ChildProcess, pid: number) {
    this.#command = command;
    this.#child = child;
    this.pid = pid;
    this.#guard = guardServer(pid, command.folder);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${String(code)}` : `signal ${signal}`));
    });
  }

  /** Resolves when the server takes connections. @throws Error with the end of its output when it does not. */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    // A session of its own, so that Ctrl-C in a terminal does not stop it before those who still talk to it.
    const child = spawn(command.binary, command.args, {
      cwd: command.folder,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...command.user,
    });
    const failed = new Promise<never>((_, reject) => child.once("error", reject));
    failed.catch(() => undefined);
    if (child.pid === undefined) {
      return failed;
    }
    const server = new ServerProcess(command, child, child.pid);
    const ready = server.#watchOutput();
    const ended = server.exited.then((how) => {
      throw new Error(`${command.name} ended while starting (${how}):\n${server.lastOutput()}`);
    });
    ended.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${command.name} did not start within ${START_TIMEOUT / 1000} s`)),
        START_TIMEOUT,
      );
    });
    try {
      await Promise.race([ready, ended, failed, late]);
    } catch (error) {
      await server.stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return server;
  }

  /** The last lines it wrote. */
  lastOutput(): string {
    return this.#output.join("\n");
  }

  /** Stops it in order, harder when it does not listen, and removes its folder. Twice is once. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const signal of [this.#command.stopSignal, "SIGQUIT", "SIGKILL"] as const) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        break;
      }
      this.#child.kill(signal);
      await settledWithin(this.exited, STOP_TIMEOUT);
    }
    await rm(this.#command.folder, { recursive: true, force: true, maxRetries: 5 });
    this.#guard.release();
  }

  #watchOutput(): Promise<void> {
    return new Promise((resolve) => {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        if (stream !== null) {
          // By lines: what we look for may arrive in two chunks.
          createInterface({ input: stream }).on("line", (line) => {
            this.#output.push(line);
            this.#output.splice(0, this.#output.length - KEPT_LINES);
            this.#command.log?.(line);
            if (line.includes(this.#command.readyText)) {
              resolve();
            }
          });
        }
      }
    });
  }
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
