import { encodeName } from "../../keys.js";
import { bytes, integer } from "../../figures.js";
import { plainText } from "../../plain-text.js";
import { findings, type Finding } from "./finding.js";
import type { RedisCommand } from "./redis-checks.js";

/** What a sample of a server's keys showed. */
export interface KeySample {
  readonly looked: number;
  readonly complete: boolean;
  /** Caches whose log was met. */
  readonly caches: readonly string[];
  readonly findings: readonly Finding[];
}

const found = findings("entries");
const LARGE = 1_024 * 1_024;
const SHOWN = 3;
/** Keys asked for in one step, and steps at the most for each key wanted. */
const STEP = 500;
/** What a cache keeps beside its entries, and needs without a time to live. */
const STATE = /#(?:head|log|marks|rules|fence|shards)$/;
const HEAD = /^([^#{}:]+)#head$/;

/**
 * Looks at some of the server's keys, by SCAN: of one cache, or all. Large values are found by what they take in memory.
 */
export async function checkKeys(
  command: RedisCommand,
  cacheName: string | undefined,
  most: number,
  progress: (looked: number) => void,
): Promise<KeySample> {
  const bare: string[] = [];
  const large: { readonly key: string; readonly size: number }[] = [];
  const caches = new Set<string>();
  let cursor = "0";
  let looked = 0;
  let [steps, withSizes] = [0, true];
  do {
    const [next, keys] = (await command("SCAN", cursor, ...matchOf(cacheName), "COUNT", String(STEP))) as readonly [
      unknown,
      readonly unknown[],
    ];
    cursor = String(next);
    steps += 1;
    const entries: string[] = [];
    for (const key of keys.map(String)) {
      if (!isOf(key, cacheName)) continue;
      const cache = HEAD.exec(key)?.[1];
      if (cache !== undefined) caches.add(decodeURIComponent(cache));
      if (!STATE.test(key)) entries.push(key);
    }
    const ttls = await Promise.all(entries.map((key) => command("PTTL", key)));
    const sizes = withSizes ? await sizesOf(command, entries) : undefined;
    withSizes = sizes !== undefined;
    for (const [at, key] of entries.entries()) {
      // -2: it went meanwhile.
      if (Number(ttls[at]) === -1) bare.push(key);
      const size = sizes?.[at] ?? 0;
      if (size > LARGE) large.push({ key, size });
    }
    looked += entries.length;
    progress(looked);
  } while (cursor !== "0" && looked < most && steps < 2_000);
  const complete = cursor === "0";
  return {
    looked,
    complete,
    caches: [...caches].sort(),
    findings: [ttlFinding(bare, looked, complete), sizeFinding(large, looked, withSizes)],
  };
}

/** What is beside an entry begins with a brace: `{crm:page}#parts`. */
function matchOf(cacheName: string | undefined): readonly string[] {
  if (cacheName === undefined) return [];
  return ["MATCH", `*${encodeName(cacheName).replaceAll(/[[\]*?\\]/g, String.raw`\$&`)}[:/#]*`];
}

function isOf(key: string, cacheName: string | undefined): boolean {
  if (cacheName === undefined) return true;
  const name = encodeName(cacheName);
  return [":", "/", "#"].some((next) => key.startsWith(name + next) || key.startsWith(`{${name}${next}`));
}

/** `undefined` where this user may not ask. */
async function sizesOf(command: RedisCommand, keys: readonly string[]): Promise<readonly number[] | undefined> {
  try {
    const sizes = await Promise.all(keys.map((key) => command("MEMORY", "USAGE", key, "SAMPLES", "5")));
    return sizes.map(Number);
  } catch {
    return undefined;
  }
}

function ttlFinding(bare: readonly string[], looked: number, complete: boolean): Finding {
  const of = `${complete ? "" : "sampled "}${integer(looked)} keys`;
  if (looked === 0) return found("ttl", "skipped", "there are no entries");
  if (bare.length === 0) return found("ttl", "ok", `each of ${of} has a time to live`);
  return found(
    "ttl",
    "fail",
    `${integer(bare.length)} of ${of} have no time to live: ${named(bare)}`,
    `EXPIRE ${plainText(bare[0] ?? "")} 3600, and have whatever writes them set one`,
  );
}

function sizeFinding(
  large: readonly { readonly key: string; readonly size: number }[],
  looked: number,
  withSizes: boolean,
): Finding {
  if (!withSizes) return found("large values", "skipped", "this user may not ask for sizes (MEMORY USAGE)");
  if (looked === 0) return found("large values", "skipped", "there are no entries");
  if (large.length === 0) return found("large values", "ok", `none of ${integer(looked)} values is above 1 MB`);
  const largest = large.toSorted((a, b) => b.size - a.size).map(({ key, size }) => `${key} (${bytes(size)})`);
  return found(
    "large values",
    "warn",
    `${integer(large.length)} of ${integer(looked)} values are above 1 MB: ${named(largest)}`,
    "cache the parts that are read, or set `compression` on the entity",
  );
}

function named(keys: readonly string[]): string {
  return `${keys.slice(0, SHOWN).map(plainText).join(", ")}${keys.length > SHOWN ? " …" : ""}`;
}
