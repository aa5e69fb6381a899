import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What `lmdb-program.ts` does when it is told. */
export interface LmdbCalls {
  openCache(argument: { path: string }): void;
  openTier(argument: { path: string; maxBytes?: string }): void;
  /** Reads a key at once as often as asked, loading what is not there. */
  read(argument: { key: string; readers: number; value: string; slow: number }): { values: string[]; loads: number };
  peek(argument: { key: string }): string | undefined;
  invalidate(argument: { key: string }): void;
  close(argument: object): void;
  /** Writes without end. */
  hammer(argument: object): void;
  takeLease(argument: { key: string; ttl: number }): string;
  exercise(argument: { path: string; keys: number }): { found: number; wrong: number; warnings: string[] };
  /** Answers each record of "ping" by one of "pong". */
  echo(argument: object): void;
}

/** Another process of this machine. */
export interface LmdbProcess {
  readonly pid: number;
  call<K extends keyof LmdbCalls>(name: K, argument: Parameters<LmdbCalls[K]>[0]): Promise<ReturnType<LmdbCalls[K]>>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

export function lmdbProcess(): LmdbProcess {
  const child = fork(fileURLToPath(new URL("lmdb-program.ts", import.meta.url)), [], {
    execArgv: ["--import", import.meta.resolve("tsx")],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "advanced",
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let last = 0;
  let ended: Error | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      ended = new Error(`The process ended by ${signal ?? `exit code ${String(code)}`}`);
      for (const { reject } of waiting.values()) reject(ended);
      resolve();
    });
  });
  child.on("message", ({ id, result, error }: { id: number; result: never; error?: string }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  });
  return {
    pid: pidOf(child),
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) throw ended;
        const id = ++last;
        waiting.set(id, { resolve, reject });
        child.send({ id, name, argument });
      }),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error("The process did not start");
  return pid;
}
