import type { Finding } from "./finding.js";

/** Why it matters, by area and check; a check "of" something is named without it. */
const REASONS: Readonly<Record<string, string>> = {
  "code memory": "A hit in memory takes a microsecond or so, one in the shared tier a round trip.",
  "code shared tier":
    "Without one each process loads for itself, and serves what another has invalidated until its ttl is over.",
  "code entities":
    "A declared entity has a version, a scope and a schema: values of different shapes and tenants cannot mix.",
  "code invalidation": "What nothing ends before its ttl is served as it was, however often it is changed.",
  "code schema": "After a deploy, values of the old shape would be given to code that expects the new one.",
  "code version": "Old code reads past what new code stores, and the other way round: both load everything.",
  "code fallback": "An outage of the source is an outage of its readers, unless the last known value may be served.",
  "entries sensitive fields": "Whoever may read the shared tier, a copy of it or its memory may read these.",
  "entries tags":
    "What belongs to nothing cannot be invalidated with its like, and is forgotten when something changes.",
  "entries stale on error":
    "An outage of the source is an outage of its readers, unless the last known value may be served.",
  "entries ttl": "What never expires fills the server, and is served for ever if its invalidation was forgotten.",
  "entries large values":
    "A large value holds up every smaller one behind it on the same connection, and is decoded as a whole.",
  "processes hit ratio": "Each miss costs what the cache was to save: a query of the source, and its time.",
  "processes stampede": "When a key that many read expires, all of them would load it at once.",
  "processes shared tier": "While it is away nothing is shared, and invalidations wait to be heard by others.",
  "processes feed":
    "Writes past this cache are heard from the feed: until it has caught up, fed entries are read through.",
  "redis server": "What the server says of itself is not known.",
  "redis version": "Scripts and commands of this cache need Redis 7.",
  "redis role": "A replica refuses writes, and what it answers is older than the master.",
  "redis maxmemory": "A server without a bound grows until its machine kills it, and everything in it is gone at once.",
  "redis policy": "The policy says what goes when the server is full: it should be entries, and nothing else.",
  "redis evictions": "What is evicted is loaded again: the source pays for memory that is too small.",
  "redis clock": "Ages and positions come from the server's clock: entries look younger or older than they are.",
  "redis acl": "Whoever has this password, or none, can empty the server.",
};

/** Why a finding matters; `undefined` for one that is no matter. */
export function reasonOf({ area, check, level }: Finding): string | undefined {
  return level === "warn" || level === "fail" ? REASONS[`${area} ${check.replace(/ of .*$/s, "")}`] : undefined;
}
