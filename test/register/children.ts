import { fork, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

import { within } from "../../scripts/servers/within.js";
import type { FromChild, ReaderSettings, ToChild, WriterSettings } from "./protocol.js";

/** The starter's end of one process of the register test. */
export class Child {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #answers = new Map<number, (value: unknown) => void>();
  #asked = 0;

  private constructor(child: ChildProcess, hear: (message: FromChild) => void) {
    this.#process = child;
    this.#exited = new Promise((resolve) => child.once("exit", () => resolve()));
    child.on("message", (message: FromChild) => {
      if (message.type !== "answer") return hear(message);
      this.#answers.get(message.id)?.(message.value);
      this.#answers.delete(message.id);
    });
  }

  static async start(hear: (message: FromChild) => void): Promise<Child> {
    const loader = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const child = fork(fileURLToPath(new URL("./child.ts", import.meta.url)), [], {
      execArgv: ["--import", loader],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`A child ended with ${String(code)} while starting`)));
    });
    // It ends with this process, whatever becomes of the test.
    const end = (): void => void child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    try {
      await within(ready, 30_000, "A child did not start");
    } catch (error) {
      end();
      throw error;
    }
    return new Child(child, hear);
  }

  begin(order: { type: "read"; settings: ReaderSettings } | { type: "write"; settings: WriterSettings }): void {
    this.#send(order);
  }

  /** @throws Error when it does not answer in time. */
  ask(what: "role" | "values" | "stop", timeout: number = 20_000): Promise<unknown> {
    this.#asked += 1;
    const id = this.#asked;
    const answer = new Promise<unknown>((resolve) => this.#answers.set(id, resolve));
    this.#send({ type: "ask", id, what });
    return within(answer, timeout, `A child did not answer ${what}`);
  }

  freeze(): void {
    this.#process.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  #send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }
}
