import type { Terminal } from "./terminal.js";

/** How a live screen ended. */
export type LiveEnd = "quit" | "interrupted";

const ENTER = "\u001B[?1049h\u001B[?25l";
const LEAVE = "\u001B[?25h\u001B[?1049l";
const HOME = "\u001B[H";
const CLEAR_LINE = "\u001B[K";
const CLEAR_REST = "\u001B[J";
/** Where a terminal does not say its size, or says 0. */
const [ROWS, COLUMNS] = [24, 80];
const CTRL_C = "\u0003";

/**
 * Draws a text again and again in place of the last one, until `q` or Ctrl-C. What was on the terminal before is back
 * afterwards, whatever happens.
 *
 * @param over ends it as `q` does
 */
export async function runLive(
  terminal: Terminal,
  draw: () => Promise<string>,
  every: number,
  over?: AbortSignal,
): Promise<LiveEnd> {
  const { stdin, stdout } = process;
  const hasKeys = stdin.isTTY;
  const stop = new AbortController();
  // The first one counts.
  const end = (how: LiveEnd): void => stop.abort(how);
  const onKey = (key: Uint8Array): void => {
    const text = new TextDecoder().decode(key);
    if (text.includes(CTRL_C)) end("interrupted");
    else if (/q|Q/.test(text)) end("quit");
  };
  const onSignal = (): void => end("interrupted");
  terminal.out(ENTER);
  // Raw, or `q` would wait for a line's end; then Ctrl-C is a key as well.
  if (hasKeys) stdin.setRawMode(true).resume().on("data", onKey);
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  over?.addEventListener("abort", () => end("quit"), { once: true });
  try {
    while (!stop.signal.aborted) {
      const text = await draw();
      terminal.out(frame(text, stdout.rows, stdout.columns));
      await pause(every, stop.signal);
    }
    return stop.signal.reason as LiveEnd;
  } finally {
    if (hasKeys) stdin.off("data", onKey).setRawMode(false).pause();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    terminal.out(LEAVE);
  }
}

/** Resolves when the time is over, or the signal is aborted. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}

/** As much of a text as the terminal has room for. */
export function frame(text: string, rows: number | undefined, columns: number | undefined): string {
  const lines = text
    .trimEnd()
    .split("\n")
    .slice(0, rows || ROWS)
    .map((line) => cutLine(line, columns || COLUMNS));
  return `${HOME}${lines.map((line) => line + CLEAR_LINE).join("\r\n")}${CLEAR_REST}`;
}

/** Colours take no room. */
function cutLine(line: string, columns: number): string {
  let room = columns;
  let text = "";
  for (const part of line.split(/(\u001B\[\d+m)/)) {
    if (part.startsWith("\u001B")) {
      text += part;
      continue;
    }
    text += part.slice(0, room);
    room -= Math.min(room, part.length);
  }
  return text;
}
