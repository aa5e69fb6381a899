import picocolors from "picocolors";

type Colors = ReturnType<typeof picocolors.createColors>;

/** Where a command writes: data to `out`, everything else to `note`. */
export interface Terminal {
  /** Appends text to standard output, without what could move a terminal's cursor or say something to it; colours pass. */
  out(text: string): void;
  /** Writes to standard output what moves the cursor: only a live screen does. */
  draw(text: string): void;
  /** Appends a line to standard error; safe as `out` is. */
  note(line: string): void;
  /** Replaces the last line of standard error; does nothing where nobody watches. */
  status(line: string): void;
  /** Of standard output: plain text when it is no terminal, or `NO_COLOR` is set. */
  readonly colors: Colors;
  /** Whether somebody looks at standard output, so that it may be drawn anew. */
  readonly isLive: boolean;
}

interface Stream {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

/** The terminal of streams such as the process's own. */
export function createTerminal(
  stdout: Stream,
  stderr: Stream,
  environment: Readonly<Record<string, string | undefined>>,
): Terminal {
  const isPlain = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  let hasStatus = false;
  return {
    out: (text) => void stdout.write(safeText(text)),
    draw: (text) => void stdout.write(text),
    note(line) {
      if (hasStatus) stderr.write("\r\u001B[2K");
      hasStatus = false;
      stderr.write(`${safeText(line)}\n`);
    },
    status(line) {
      if (stderr.isTTY !== true) return;
      stderr.write(`\r\u001B[2K${safeText(line)}`);
      hasStatus = line !== "";
    },
    isLive: stdout.isTTY === true && environment["TERM"] !== "dumb",
    colors: picocolors.createColors(stdout.isTTY === true && !isPlain),
  };
}

/** What sets a colour, or else a control of C0 or C1 (ECMA-48) that is neither a tab nor the end of a line. */
const CONTROLS = /\u001B\[[\d;]*m|[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g;

/** Text that a terminal takes for nothing but text and colours, whoever's keys and messages are in it. */
export function safeText(text: string): string {
  return text.replaceAll(CONTROLS, (found) => (found.length > 1 ? found : " "));
}
