import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count } from "../option-values.js";
import { waitOption } from "../reach-options.js";
import type { Terminal } from "../terminal.js";

export interface DoctorFlags {
  readonly name?: string;
  readonly module?: string;
  readonly publication: string;
  readonly slot?: string;
  readonly sample: number;
  readonly wait: number;
  readonly strict?: true;
  readonly json?: true;
}

const EXAMPLES = `
Looks at whatever it is given: a Redis (REDIS_URL), the database of the change feed (DATABASE_URL), and the code (--module, a
module that exports the caches with their entities). It changes nothing: what mends a finding is printed beneath it.

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache doctor --name crm
  $ REDIS_URL=… DATABASE_URL=… tiercache doctor --name crm --module src/cache.ts
  $ tiercache doctor --name crm --json | jq '.findings[] | select(.level == "fail")'

It checks: time to live on every key, maxmemory and its policy, hit ratio above 80%, stampede protection on hot keys, values above 1 MB,
sensitive fields that are readable, invalidation, version and schema of every entity, that reads go on without Redis (tried, on a connection of
its own), what the user of Redis may do, clocks, and for the feed wal_level, publication, slot and the log kept for it.
Keys are sampled by SCAN. Processes are heard if they call createAdmin.
Environment: REDIS_URL, DATABASE_URL, TIERCACHE_NAME, TIERCACHE_SECRET; each may be a file instead: REDIS_URL_FILE.
Exit: 0 nothing failed, 6 something did (with --strict, a warning too), 3 no such cache, 5 a system cannot be reached.`;

/** `tiercache doctor`: checks caches, their Redis, their database and their code. */
export function addDoctor(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("doctor")
    .description("check a live Redis, PostgreSQL and the code of caches, and say what mends what is wrong")
    .option("--name <cache>", "the cache; without it, every cache that is found")
    .option("--module <file>", "a module that exports the caches")
    .option("--publication <name>", "of the change feed", "tiercache")
    .option("--slot <name>", "of the change feed; without it, those whose name begins with tiercache")
    .option("--sample <number>", "about how many keys are looked at", count, 5_000)
    .addOption(waitOption())
    .option("--strict", "warnings fail, too")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: DoctorFlags) => {
      const { doctor } = await import("../actions/doctor.js");
      end(await doctor(flags, terminal));
    });
}
