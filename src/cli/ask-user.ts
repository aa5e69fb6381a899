import { createInterface } from "node:readline/promises";

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks on standard error, so that standard output stays data; `undefined` when the answer was Ctrl-C or the end of input. */
export async function askUser(question: string): Promise<string | undefined> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const gone = new Promise<undefined>((resolve) => {
    lines.once("SIGINT", () => resolve(undefined));
    lines.once("close", () => resolve(undefined));
  });
  try {
    return await Promise.race([lines.question(question), gone]);
  } finally {
    lines.close();
  }
}
