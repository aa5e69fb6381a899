import picocolors from "picocolors";

type Colors = ReturnType<typeof picocolors.createColors>;

/** Where a command writes: data to `out`, everything else to `note`. */
export interface Terminal {
  /** Appends text to standard output. */
  out(text: string): void;
  /** Appends a line to standard error. */
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
    out: (text) => void stdout.write(text),
    note(line) {
      if (hasStatus) stderr.write("\r\u001B[2K");
      hasStatus = false;
      stderr.write(`${line}\n`);
    },
    status(line) {
      if (stderr.isTTY !== true) return;
      stderr.write(`\r\u001B[2K${line}`);
      hasStatus = line !== "";
    },
    isLive: stdout.isTTY === true && environment["TERM"] !== "dumb",
    colors: picocolors.createColors(stdout.isTTY === true && !isPlain),
  };
}
