/** The longest that a timer of Node waits; it takes more for a millisecond. */
const LONGEST = 2 ** 31 - 1;

/** Resolves when the time is over, however long, or the signal is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  const until = performance.now() + milliseconds;
  for (let left = milliseconds; left > 0; left = until - performance.now()) {
    if (signal?.aborted === true) return;
    await onePause(Math.min(LONGEST, left), signal);
  }
}

function onePause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done);
  });
}
