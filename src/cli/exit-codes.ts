/** How a command of the CLI ends, for scripts that call it. */
export const EXIT = {
  ok: 0,
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** What was asked for is not there. */
  notFound: 3,
  /** Whoever asks may not. */
  forbidden: 4,
  /** Nothing answers there. */
  unreachable: 5,
  /** It ran, and the answer is no. */
  checkFailed: 6,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
