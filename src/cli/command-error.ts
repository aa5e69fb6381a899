import type { ExitCode } from "./exit-codes.js";

/** What ends a command, with the code it ends with: said in one line, and no more. */
export class CommandError extends Error {
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
