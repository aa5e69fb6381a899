import { EXIT } from "./exit-codes.js";

/**
 * Does work that Ctrl-C, or being told to end, brings to an end: the signal is aborted with the exit code 130 as its reason, and the work
 * returns. Whoever does not want to wait for that presses Ctrl-C again, which ends the process.
 */
export async function stoppable<T>(work: (stop: AbortController) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(EXIT.interrupted);
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    return await work(stop);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}
