import { CommandError } from "../command-error.js";
import { checkCode } from "../../admin/doctor/code-checks.js";
import { checkEntries, readEntities, type StoredEntity } from "../../admin/doctor/entry-checks.js";
import { checkFallback } from "../doctor/fallback-check.js";
import { findings, type Finding, type Level } from "../../admin/doctor/finding.js";
import { findingsText } from "../doctor/findings-text.js";
import { checkKeys } from "../../admin/doctor/key-checks.js";
import { checkPostgres } from "../doctor/postgres-checks.js";
import { checkProcesses } from "../../admin/doctor/process-checks.js";
import { checkRedis } from "../../admin/doctor/redis-checks.js";
import type { DoctorFlags } from "../commands/doctor.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer } from "../../figures.js";
import { cachesOf, connect, gatherReports, nameInEnvironment, openCache, reachCache } from "../reach.js";
import { closeModule } from "../load-module.js";
import { secretOf } from "../secrets.js";
import type { Terminal } from "../terminal.js";
import { jsonText } from "../json-text.js";

/** Checks caches, their Redis, their database and their code. */
export async function doctor(flags: DoctorFlags, terminal: Terminal): Promise<ExitCode> {
  const all = await examine(flags, terminal);
  terminal.status("");
  terminal.out(flags.json === true ? jsonOf(all) : findingsText(all, terminal.colors));
  const has = (level: Level): boolean => all.some((one) => one.level === level);
  if (all.some(({ check, level }) => check === "reach" && level === "fail")) return EXIT.unreachable;
  return has("fail") || (flags.strict === true && has("warn")) ? EXIT.checkFailed : EXIT.ok;
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
  const { module, caches } = await cachesOf(path);
  try {
    const asked = caches.filter((cache) => name === undefined || cache.name === name);
    if (asked.length === 0)
      throw new CommandError(EXIT.notFound, `${path} exports no cache named ${JSON.stringify(name)}`);
    return asked.flatMap((cache) => checkCode(cache, stored.get(cache.name) ?? []));
  } finally {
    await closeModule(module, caches);
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
  return jsonText({ ...levels, findings: all });
}
