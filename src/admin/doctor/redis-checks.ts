import { bytes, integer, percent } from "../../figures.js";
import { span } from "../../spans.js";
import { findings, type Finding } from "./finding.js";
import { redisAccount } from "./redis-account.js";

/** Sends a command, and gives its answer. */
export type RedisCommand = (...words: readonly string[]) => Promise<unknown>;

const found = findings("redis");

/** Milliseconds that two clocks may differ without a word, and without harm. */
const SKEW = 1_000;
const BAD_SKEW = 5_000;

/** Looks at a server: its version, memory, role, clock, and what this user of it may do. Changes nothing. */
export async function checkRedis(command: RedisCommand, cacheNames: readonly string[]): Promise<readonly Finding[]> {
  const info = parseInfo(String(await command("INFO")));
  return [
    checkVersion(info),
    checkRole(info),
    ...checkMemory(info),
    checkEvictions(info),
    await checkClock(command),
    await checkAccess(command, cacheNames),
  ];
}

type Info = ReadonlyMap<string, string>;

function parseInfo(text: string): Info {
  const lines = text.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line));
  return new Map(lines.flatMap((match) => (match === null ? [] : [[match[1] ?? "", match[2] ?? ""] as const])));
}

function checkVersion(info: Info): Finding {
  const version = info.get("redis_version") ?? "";
  const major = Number(version.split(".")[0]);
  if (major >= 7) return found("version", "ok", `Redis ${version}`);
  return found("version", "fail", `Redis ${version}: 7 or later is needed`, "upgrade the server");
}

function checkRole(info: Info): Finding {
  const role = info.get("role") ?? "";
  if (role !== "slave") return found("role", "ok", "it is the master");
  return found("role", "fail", "it is a replica: it lags behind, and writes are refused", "REDIS_URL of the master");
}

const POLICY_FIX = "CONFIG SET maxmemory-policy volatile-lru";

function checkMemory(info: Info): readonly Finding[] {
  const used = Number(info.get("used_memory"));
  const most = Number(info.get("maxmemory"));
  const policy = info.get("maxmemory_policy") ?? "";
  const limit =
    most > 0
      ? found("maxmemory", "ok", `maxmemory is ${bytes(most)}, ${percent(used / most, 0)} of it used`)
      : found(
          "maxmemory",
          "fail",
          `maxmemory has no bound: ${bytes(used)} are used, and the machine's memory is the limit`,
          "CONFIG SET maxmemory 2gb",
        );
  return [limit, checkPolicy(policy, most > 0)];
}

function checkPolicy(policy: string, isBounded: boolean): Finding {
  switch (policy) {
    case "volatile-lru":
    case "volatile-lfu":
    case "volatile-ttl":
      return found("policy", "ok", `maxmemory-policy is ${policy}: entries make room, the log of invalidations stays`);
    case "allkeys-lru":
    case "allkeys-lfu":
      return found(
        "policy",
        "warn",
        `maxmemory-policy is ${policy}: it may evict the log of invalidations as well, which is noticed and costs every entry; every entry has a ttl, so volatile-${policy.slice(8)} makes the same room`,
        `CONFIG SET maxmemory-policy volatile-${policy.slice(8)}`,
      );
    case "noeviction":
      return found(
        "policy",
        isBounded ? "fail" : "warn",
        "maxmemory-policy is noeviction: a full server refuses to store, and reads go to the source",
        POLICY_FIX,
      );
    default:
      return found(
        "policy",
        "warn",
        `maxmemory-policy is ${policy}: what is used most goes as soon as what is not`,
        POLICY_FIX,
      );
  }
}

function checkEvictions(info: Info): Finding {
  const evicted = Number(info.get("evicted_keys"));
  const days = Math.max(1 / 24, Number(info.get("uptime_in_seconds")) / 86_400);
  if (evicted === 0) return found("evictions", "ok", "nothing was evicted since the server started");
  return found(
    "evictions",
    "warn",
    `${integer(evicted)} keys were evicted, ${integer(evicted / days)} a day: the server is too small for what is cached`,
    "more maxmemory, shorter ttl, or compression",
  );
}

async function checkClock(command: RedisCommand): Promise<Finding> {
  const asked = Date.now();
  const [seconds, micros] = (await command("TIME")) as readonly unknown[];
  const now = (asked + Date.now()) / 2;
  const skew = Number(seconds) * 1_000 + Number(micros) / 1_000 - now;
  if (Math.abs(skew) <= SKEW) return found("clock", "ok", "its clock and this machine's agree within a second");
  return found(
    "clock",
    Math.abs(skew) > BAD_SKEW ? "fail" : "warn",
    `its clock is ${span(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} this machine's: ages of entries are wrong by as much`,
    "run chrony or another NTP client on both",
  );
}

async function checkAccess(command: RedisCommand, cacheNames: readonly string[]): Promise<Finding> {
  let user = "";
  let facts: ReadonlyMap<string, unknown>;
  try {
    user = String(await command("ACL", "WHOAMI"));
    facts = pairs(await command("ACL", "GETUSER", user));
  } catch {
    // Refused, which is the answer: a user that may ask this may do more than a cache needs.
    return found("acl", "ok", `the user${user === "" ? "" : ` ${user}`} may not look at users`);
  }
  const flags = (facts.get("flags") as readonly unknown[] | undefined)?.map(String) ?? [];
  const commands = String(facts.get("commands"));
  if (flags.includes("nopass"))
    return found(
      "acl",
      "warn",
      `the user ${user} needs no password: whoever reaches the server is in`,
      redisAccount(cacheNames.length === 0 ? ["CACHE"] : cacheNames),
    );
  const isAll = commands.includes("+@all") && !commands.includes("-@dangerous");
  if (isAll)
    return found(
      "acl",
      "warn",
      `the user ${user} may do everything, FLUSHALL and CONFIG too`,
      redisAccount(cacheNames.length === 0 ? ["CACHE"] : cacheNames),
    );
  return found("acl", "ok", `the user ${user} may not do everything`);
}

function pairs(answer: unknown): ReadonlyMap<string, unknown> {
  if (answer instanceof Map) return answer as ReadonlyMap<string, unknown>;
  const list = Array.isArray(answer) ? (answer as readonly unknown[]) : Object.entries(answer as object).flat();
  const map = new Map<string, unknown>();
  for (let at = 0; at < list.length; at += 2) map.set(String(list[at]), list[at + 1]);
  return map;
}
