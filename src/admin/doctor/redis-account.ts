import { encodeName } from "../../keys.js";

/** Commands that a cache's account needs: those of its scripts and around them. */
const COMMANDS = [
  "+mget +hmget +hset +eval +evalsha +subscribe +unsubscribe +get +set +getrange +setrange +strlen +del",
  "+unlink +rename +pttl +pexpire +pexpireat +pexpiretime +hget +zadd +zscore +zcard +zrange",
  "+zrangebyscore +zremrangebyscore +xadd +xrange +xrevrange +publish +time",
].join(" ");

/** The account with only what the caches need, as SECURITY.md publishes it: a command of redis-cli. */
export function redisAccount(cacheNames: readonly string[], user: string = "tiercache"): string {
  // What a pattern of Redis would take for more is escaped.
  const names = cacheNames.map((name) => encodeName(name).replace(/[[\]*?\\]/g, String.raw`\$&`));
  const rooms = names.map((name) => `~${name}:* ~${name}/* ~${name}#* ~{${name}:* ~{${name}/* &${name}#bus`).join(" ");
  return `ACL SETUSER ${user} reset on >PASSWORD ${rooms} ${COMMANDS}`;
}
