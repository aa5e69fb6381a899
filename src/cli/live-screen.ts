import { EXIT, type ExitCode } from "./exit-codes.js";
import { pause } from "./pause.js";
import { stoppable } from "./stoppable.js";
import { safeText, type Terminal } from "./terminal.js";

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
 * afterwards, whatever happens, and a drawing that hangs keeps nobody.
 *
 * @param over ends it as `q` does
 */
export function runLive(
  terminal: Terminal,
  draw: () => Promise<string>,
  every: number,
  over?: AbortSignal,
): Promise<ExitCode> {
  return stoppable(async (stop) => {
    const { stdin, stdout } = process;
    const hasKeys = stdin.isTTY;
    const { signal } = stop;
    const ended = new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
    // The first one counts.
    const onKey = (key: Uint8Array): void => {
      const text = new TextDecoder().decode(key);
      if (text.includes(CTRL_C)) stop.abort(EXIT.interrupted);
      else if (/q|Q/.test(text)) stop.abort(EXIT.ok);
    };
    terminal.draw(ENTER);
    // Raw, or `q` would wait for a line's end; then Ctrl-C is a key as well.
    if (hasKeys) stdin.setRawMode(true).resume().on("data", onKey);
    over?.addEventListener("abort", () => stop.abort(EXIT.ok), { once: true });
    try {
      while (!signal.aborted) {
        const text = await Promise.race([draw(), ended]);
        if (text !== undefined) terminal.draw(frame(text, stdout.rows, stdout.columns));
        await pause(every, signal);
      }
      return signal.reason as ExitCode;
    } finally {
      if (hasKeys) stdin.off("data", onKey).setRawMode(false).pause();
      terminal.draw(LEAVE);
    }
  });
}

/** As much of a text as the terminal has room for. */
export function frame(text: string, rows: number | undefined, columns: number | undefined): string {
  const lines = safeText(text)
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
