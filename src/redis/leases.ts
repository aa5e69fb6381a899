import { CacheError } from "../errors.js";
import type { Head } from "../invalidation/record.js";
import type { LeaseAnswer, Leases } from "../tiers/shared.js";
import type { Parts } from "./parts.js";
import { ACQUIRE, COMMIT, FILL, RELEASE, RENEW } from "./scripts.js";
import { appendArguments, headOf, listOf, stateKeys, wholeTtl, type Wiring } from "./store.js";
import { encodeSettled, textOf } from "./wire.js";

export function redisLeases(wiring: Wiring): Leases {
  const { connection, layout, parts, signer } = wiring;
  const state = stateKeys(layout);
  const own = (key: string): [entry: string, lease: string] => [layout.entry(key), layout.lease(key)];
  return {
    async acquire(key, { token, ttl, seen, takeOver }): Promise<LeaseAnswer> {
      const reply = await connection.run(
        ACQUIRE,
        [...state, ...own(key), layout.fence],
        [token, wholeTtl(ttl), seen ?? "", takeOver === true ? "1" : "0"],
      );
      return answerOf(key, listOf(reply), parts);
    },
    async renew(key, token, ttl): Promise<boolean> {
      return isYes(await connection.run(RENEW, own(key), [token, wholeTtl(ttl)]));
    },
    async fill(key, token, value, ttl): Promise<boolean> {
      const { bytes, uploads, id } = await parts.stage(key, value);
      return isYes(
        await connection.run(
          FILL,
          [...own(key), layout.parts(key), ...uploads],
          [token, bytes, wholeTtl(ttl), layout.channel, encodeSettled(key, signer), id],
        ),
      );
    },
    async commit(key, token, value, ttl, origin): Promise<Head | undefined> {
      const { keys, args } = appendArguments(wiring, [{ kind: "key", key }], false, origin);
      const { bytes, uploads, id } = await parts.stage(key, value);
      const reply = await connection.run(
        COMMIT,
        [...keys, ...uploads],
        [...args, token, bytes, wholeTtl(ttl), encodeSettled(key, signer), id],
      );
      return reply === null ? undefined : headOf(reply);
    },
    async release(key, token): Promise<boolean> {
      return isYes(await connection.run(RELEASE, own(key), [token, layout.channel, encodeSettled(key, signer)]));
    },
  };
}

function answerOf(key: string, [state, head, detail]: readonly unknown[], parts: Parts): LeaseAnswer {
  switch (textOf(state)) {
    case "won":
      return { state: "won", fence: Number(textOf(detail)), head: headOf(head) };
    case "held":
      return { state: "held", remaining: Number(detail), head: headOf(head) };
    case "filled":
      if (detail instanceof Uint8Array)
        return { state: "filled", value: parts.stored(key, detail), head: headOf(head) };
  }
  throw new CacheError("ERR_CACHE_TIER", "Expected a lease's answer in reply to a script");
}

function isYes(reply: unknown): boolean {
  return Number(reply) === 1;
}
