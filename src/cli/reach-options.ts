import type { Command, Option } from "commander";

import { duration, withDefault } from "./option-values.js";

/** How a command is told where the cache is. */
export interface ReachFlags {
  readonly name?: string;
  readonly admin?: string;
  readonly module?: string;
}

/** Says in a command's help how it is told where the cache is. */
export const REACH_HELP: string = `
Where the cache is: REDIS_URL and --name, for what its shared tier and the processes on it know (those that call createAdmin); or
--admin, for what a process's own admin API tells; or --module, for what only the cache's code can read.
Environment: REDIS_URL, TIERCACHE_NAME (for --name), TIERCACHE_SECRET (of a cache that signs), TIERCACHE_TOKEN (for --admin).
Each of them may be a file instead: REDIS_URL_FILE.`;

/** Declares the options of `ReachFlags`. */
export function addReachOptions(command: Command): Command {
  return command
    .option("--name <cache>", "the name that the cache was created with")
    .option("--admin <url>", "the address of a process's admin API")
    .option("--module <file>", "a module that exports the cache");
}

/** Of commands that ask the processes of a cache. */
export function waitOption(): Option {
  return withDefault("--wait <duration>", "how long processes may take to report", duration, "6s");
}
