/** What went wrong with a trace, stable across releases. */
export type TraceErrorCode =
  /** There is no such file. */
  | "ERR_TRACE_NOT_FOUND"
  /** The file cannot be read or decompressed. */
  | "ERR_TRACE_FILE"
  /** The file is in no known format, or not in the one named. */
  | "ERR_TRACE_FORMAT"
  /** A line says nothing that can be simulated, or too many do. */
  | "ERR_TRACE_LINE";

/** A trace that cannot be simulated. */
export class TraceError extends Error {
  override readonly name = "TraceError";
  readonly code: TraceErrorCode;
  /** The line it is about, counted from 1; `undefined` when it is about the whole file. */
  readonly line: number | undefined;

  constructor(
    code: TraceErrorCode,
    message: string,
    options: { readonly line?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.line = options.line;
  }
}
