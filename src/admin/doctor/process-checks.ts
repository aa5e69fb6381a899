import { mergeReports, type Overview } from "../merge.js";
import type { ProcessReport } from "../report.js";
import type { MissReason } from "../../events.js";
import type { ReadStats } from "../../stats.js";
import { integer, percent } from "../../figures.js";
import { plainText } from "../../plain-text.js";
import { span } from "../../spans.js";
import { entityName, type StoredEntity } from "./entry-checks.js";
import { findings, type Finding } from "./finding.js";

const found = findings("processes");
/** What the checklists of caches ask for. */
const TARGET = 0.8;
/** Reads below which a ratio says nothing. */
const ENOUGH = 100;

const NARROWER = "narrower invalidations, by tag or key";
const ADVICE: Readonly<Record<MissReason, string>> = {
  cold: "warm it before users ask (tiercache warm), or keep it longer",
  expired: "a longer ttl with invalidation, or staleWhileRevalidate",
  evicted: "more memory: memory({ maxBytes }); tiercache plan says how much",
  "invalidated-tag": "narrower tags: one change makes much more outdated than it changed",
  "invalidated-key": "writeThrough, which stores the new value instead of removing the old one",
  "invalidated-prefix": NARROWER,
  "invalidated-pattern": NARROWER,
  "invalidated-all": "find out who clears the whole cache: tiercache events --type invalidated",
  forgotten: "more marks: redis(client, { maxMarks }); fewer tags for each entry",
  suspect: "the log of invalidations is not followed: see the checks of the shared tier and the feed",
  version: "a deploy rolls, or two versions of a service share the cache",
  error: "the shared tier fails: see the checks of Redis",
  corrupt: "keys of its own: another `name`, or another database of the server",
  older: "read from the primary, or let the loader name the row's version",
  bypass: "callers ask for fresh values themselves (forceFresh)",
};

/** What running processes say: how many hits, what protects the hottest keys, whether tiers and feed stand. */
export function checkProcesses(
  cache: string,
  reports: readonly ProcessReport[],
  entities: readonly StoredEntity[],
): readonly Finding[] {
  const overview = mergeReports(reports);
  if (overview === undefined)
    return [
      found(
        "hit ratio",
        "skipped",
        `no process of ${cache} reports, so neither hits nor hot keys are known`,
        "createAdmin(cache) of tiercache/admin, in each process",
      ),
    ];
  return [
    checkRatio(overview),
    ...checkEntityRatios(overview),
    checkStampede(overview, entities),
    checkTier(overview),
    ...checkFeed(overview),
  ];
}

function checkRatio({ total, processes }: Overview): Finding {
  const of = `of ${integer(total.gets)} reads by ${integer(processes.length)} ${processes.length === 1 ? "process" : "processes"}`;
  if (total.gets < ENOUGH) return found("hit ratio", "skipped", `too few reads to tell: ${integer(total.gets)}`);
  if (total.hitRatio >= TARGET) return found("hit ratio", "ok", `${percent(total.hitRatio)} ${of} were hits`);
  return found(
    "hit ratio",
    "fail",
    `${percent(total.hitRatio)} ${of} were hits; 80% is the target${mostOf(total)}`,
    adviceOf(total),
  );
}

function checkEntityRatios({ entities }: Overview): readonly Finding[] {
  const low = Object.entries(entities)
    .filter(([, stats]) => stats.gets >= ENOUGH && stats.hitRatio < TARGET)
    .sort(([, a], [, b]) => b.misses - a.misses);
  return low.map(([name, stats]) =>
    found(
      `hit ratio of ${entityName(name)}`,
      "warn",
      `${percent(stats.hitRatio)} of ${integer(stats.gets)} reads were hits${mostOf(stats)}`,
      adviceOf(stats),
    ),
  );
}

function mostOf({ missReasons, misses }: ReadStats): string {
  const most = mostCommon(missReasons);
  return most === undefined ? "" : `; ${percent(most[1] / misses, 0)} of the misses: ${most[0]}`;
}

function adviceOf({ missReasons }: ReadStats): string | undefined {
  const most = mostCommon(missReasons);
  return most && ADVICE[most[0]];
}

function mostCommon(reasons: ReadStats["missReasons"]): [MissReason, number] | undefined {
  return (Object.entries(reasons) as [MissReason, number][]).sort(([, a], [, b]) => b - a)[0];
}

/** Loads are merged always, in a process and, by leases, across processes: what is left is who waits for one. */
function checkStampede({ hot, sampled, shared, total }: Overview, entities: readonly StoredEntity[]): Finding {
  if (shared === undefined)
    return found(
      "stampede",
      "warn",
      "there is no shared tier: each process loads a key once, so a fleet loads it as often as it has processes",
      "tiers: [memory(), redis(client)]",
    );
  const protectedEntities = new Set(
    entities
      .filter(({ entries }) => entries.some(({ facts }) => facts.staleWhileRevalidate > 0))
      .map(({ name }) => name),
  );
  const pinned = new Set(hot.filter((one) => one.pinned).map(({ key }) => key));
  const waits = (sampled?.mostRead ?? []).filter(
    ({ key, entity }) => !pinned.has(key) && !protectedEntities.has(entity),
  );
  const hottest = hot.slice(0, 3).map(({ key, perSecond }) => `${plainText(key)} (${integer(perSecond)}/s)`);
  const told = hottest.length === 0 ? "no key is hot" : `hot: ${hottest.join(", ")}, pinned and refreshed ahead`;
  const saved = `one load per key across processes, by leases; ${integer(total.loadsShared)} loads were saved so; ${told}`;
  const expired = total.missReasons.expired ?? 0;
  if (waits.length === 0 || expired === 0) return found("stampede", "ok", saved);
  const [first] = waits;
  return found(
    "stampede",
    "ok",
    `${saved}; readers of ${plainText(first?.key ?? "")} wait for a load each time it expires`,
    'staleWhileRevalidate: "1m"',
  );
}

function checkTier({ shared }: Overview): Finding {
  if (shared === undefined) return found("shared tier", "skipped", "there is none");
  const { kind, up, corrupt, unsent, messagesRefused, failures, gaps } = shared;
  if (!up)
    return found(
      "shared tier",
      "fail",
      "a process cannot reach it: its reads go to memory and the source",
      kind === "redis" ? "redis-cli -u $REDIS_URL ping, from the machine of that process" : "start its server",
    );
  if (unsent > 0)
    return found(
      "shared tier",
      "fail",
      `${integer(unsent)} invalidations wait to be sent: what they name may be served elsewhere`,
      "nothing but to have the tier answer again: each heartbeat sends them",
    );
  if (corrupt > 0)
    return found(
      "shared tier",
      "warn",
      `${integer(corrupt)} entries were no entries: who else writes these keys?`,
      ADVICE.corrupt,
    );
  if (messagesRefused > 0)
    return found(
      "shared tier",
      "warn",
      `${integer(messagesRefused)} messages were not signed as they must be`,
      "the same `secret` in every process",
    );
  return found(
    "shared tier",
    "ok",
    `it answers; ${integer(failures)} operations failed and the log was lost ${integer(gaps)} times since the processes began`,
  );
}

function checkFeed({ feed }: Overview): readonly Finding[] {
  if (feed === undefined) return [];
  const { completeAgo } = feed;
  if (typeof completeAgo !== "number")
    return [
      found(
        "feed",
        "fail",
        "the feed of changes is not complete: fed entries are read through",
        "tiercache doctor with DATABASE_URL says why",
      ),
    ];
  return [
    found(
      "feed",
      completeAgo > 10_000 ? "warn" : "ok",
      `the feed of changes was complete ${span(completeAgo)} ago`,
      "tiercache doctor with DATABASE_URL says what it waits for",
    ),
  ];
}
