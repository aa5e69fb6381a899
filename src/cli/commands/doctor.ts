import type { Command } from "commander";

import type { Cache } from "../../api.js";
import { CommandError } from "../command-error.js";
import { checkCode } from "../doctor/code-checks.js";
import { checkEntries, readEntities, type StoredEntity } from "../doctor/entry-checks.js";
import { checkFallback } from "../doctor/fallback-check.js";
import { findings, type Finding } from "../doctor/finding.js";
import { findingsText } from "../doctor/findings-text.js";
import { checkKeys } from "../doctor/key-checks.js";
import { checkPostgres } from "../doctor/postgres-checks.js";
import { checkProcesses } from "../doctor/process-checks.js";
import { checkRedis } from "../doctor/redis-checks.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer } from "../figures.js";
import { count, duration, showDefaults } from "../option-values.js";
import { cachesOf, closeModule, connect, gatherReports, nameInEnvironment, openCache, reachCache } from "../reach.js";
import { secretOf } from "../secrets.js";
import type { Terminal } from "../terminal.js";

interface DoctorFlags {
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
  const command = program
    .command("doctor")
    .description("check a live Redis, PostgreSQL and the code of caches, and say what mends what is wrong")
    .option("--name <cache>", "the cache; without it, every cache that is found")
    .option("--module <file>", "a module that exports the caches")
    .option("--publication <name>", "of the change feed", "tiercache")
    .option("--slot <name>", "of the change feed; without it, those whose name begins with tiercache")
    .option("--sample <number>", "about how many keys are looked at", count, 5_000)
    .option("--wait <duration>", "how long processes may take to report", duration, 6_000)
    .option("--strict", "warnings fail, too")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: DoctorFlags) => {
      const all = await examine(flags, terminal);
      terminal.status("");
      terminal.out(flags.json === true ? jsonOf(all) : findingsText(all, terminal.colors));
      if (all.some(({ check, level }) => check === "reach" && level === "fail")) end(EXIT.unreachable);
      else
        end(
          all.some(({ level }) => level === "fail" || (flags.strict === true && level === "warn"))
            ? EXIT.checkFailed
            : EXIT.ok,
        );
    });
  showDefaults(command, { "--wait": "6s" });
}

async function examine(flags: DoctorFlags, terminal: Terminal): Promise<readonly Finding[]> {
  const [redisUrl, databaseUrl] = [await secretOf("REDIS_URL"), await secretOf("DATABASE_URL")];
  if (redisUrl === undefined && databaseUrl === undefined && flags.module === undefined)
    throw new CommandError(
      EXIT.usage,
      "what is to be looked at? REDIS_URL, DATABASE_URL or --module (--help tells more)",
    );
  const all: Finding[] = [];
  const stored = new Map<string, readonly StoredEntity[]>();
  if (redisUrl !== undefined) all.push(...(await examineRedis(redisUrl, flags, stored, terminal)));
  else all.push(findings("redis")("reach", "skipped", "not looked at: set REDIS_URL"));
  if (databaseUrl !== undefined) all.push(...(await examinePostgres(databaseUrl, flags, terminal)));
  else all.push(findings("postgres")("reach", "skipped", "not looked at: set DATABASE_URL"));
  if (flags.module !== undefined) all.push(...(await examineCode(flags.module, flags.name, stored, terminal)));
  else
    all.push(findings("code")("entities", "skipped", "not looked at: give a module that exports the caches, --module"));
  return all;
}

async function examineRedis(
  url: string,
  flags: DoctorFlags,
  stored: Map<string, readonly StoredEntity[]>,
  terminal: Terminal,
): Promise<readonly Finding[]> {
  const name = flags.name ?? nameInEnvironment();
  terminal.status("looking at Redis");
  let server: Awaited<ReturnType<typeof connect>>;
  try {
    server = await connect(url);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    return [findings("redis")("reach", "fail", messageOf(error), "REDIS_URL")];
  }
  try {
    const keys = await checkKeys(server.command, name, flags.sample, (looked) =>
      terminal.status(`looking at keys: ${integer(looked)} of about ${integer(flags.sample)}`),
    );
    const names = name === undefined ? keys.caches : [name];
    const all: Finding[] = [...(await checkRedis(server.command, names)), ...keys.findings];
    for (const one of names) all.push(...(await examineCache(url, one, flags, stored, terminal)));
    terminal.status("trying what happens without Redis");
    all.push(...(await checkFallback(url)));
    return all;
  } finally {
    server.close();
  }
}

async function examineCache(
  url: string,
  name: string,
  flags: DoctorFlags,
  stored: Map<string, readonly StoredEntity[]>,
  terminal: Terminal,
): Promise<readonly Finding[]> {
  const { cache, close } = await openCache(url, name);
  const to = await reachCache(cache, close, terminal);
  try {
    const reports = await gatherReports(to, flags.wait, terminal);
    terminal.status(`reading entries of ${name}`);
    const entities = await readEntities(cache);
    stored.set(name, entities);
    return [...checkEntries(entities), ...checkProcesses(name, reports, entities)];
  } finally {
    await to.close();
  }
}

async function examinePostgres(url: string, flags: DoctorFlags, terminal: Terminal): Promise<readonly Finding[]> {
  terminal.status("looking at PostgreSQL");
  try {
    return await checkPostgres(url, { publication: flags.publication, slot: flags.slot });
  } catch (error) {
    return [findings("postgres")("reach", "fail", messageOf(error), "DATABASE_URL, and the package pg: npm i pg")];
  }
}

async function examineCode(
  path: string,
  name: string | undefined,
  stored: ReadonlyMap<string, readonly StoredEntity[]>,
  terminal: Terminal,
): Promise<readonly Finding[]> {
  terminal.status("looking at the code");
  const module = await cachesOf(path);
  try {
    const caches = module.caches.filter((cache: Cache) => name === undefined || cache.name === name);
    if (caches.length === 0)
      throw new CommandError(EXIT.notFound, `${path} exports no cache named ${JSON.stringify(name)}`);
    return caches.flatMap((cache) => checkCode(cache, stored.get(cache.name) ?? []));
  } finally {
    await closeModule(module);
  }
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
  if (text !== "") return text;
  return typeof code === "string" ? code : "no connection";
}

function jsonOf(all: readonly Finding[]): string {
  const levels = { ok: 0, warn: 0, fail: 0, skipped: 0 };
  for (const { level } of all) levels[level] += 1;
  return `${JSON.stringify({ schemaVersion: 1, ...levels, findings: all }, undefined, 2)}\n`;
}
