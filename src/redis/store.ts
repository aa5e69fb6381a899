import { MAX_DURATION } from "../duration.js";
import { CacheError } from "../errors.js";
import { isRule } from "../invalidation/mark-text.js";
import type { Head, Mark } from "../invalidation/record.js";
import type { SharedPut, SharedRead, SharedStore } from "../tiers/shared.js";
import type { Connection } from "./connection.js";
import type { Layout } from "./layout.js";
import type { Parts } from "./parts.js";
import { listKeys } from "./listing.js";
import { DISCARD, INVALIDATE_HARD, INVALIDATE_SOFT, MARKS, PUT, RULES } from "./scripts.js";
import type { Signer } from "./sign.js";
import { encodeBody, memberOf, parseHead, parseRule, textOf } from "./wire.js";

/** Bounds of what the server remembers, resolved. */
export interface Bounds {
  readonly logLength: number;
  readonly maxMarks: number;
  readonly maxRules: number;
  /** Milliseconds. */
  readonly entryRetention: number;
}

/** What the store, the leases and the log of one tier are made of. */
export interface Wiring {
  readonly connection: Connection;
  readonly layout: Layout;
  readonly bounds: Bounds;
  readonly parts: Parts;
  readonly signer: Signer | undefined;
}

/** Marks in one atomic step, and in the one record of it: the server answers nobody else meanwhile. */
const MAX_MARKS = 10_000;

export function redisStore(wiring: Wiring): SharedStore {
  const { connection, layout, parts } = wiring;
  const state = stateKeys(layout);

  return {
    async read(keys): Promise<SharedRead> {
      const found = await connection.mget([...keys.map((key) => layout.entry(key)), layout.head]);
      const head = parseHead(found.pop());
      return { values: found.map((bytes, index) => bytes && parts.stored(keys[index] as string, bytes)), head };
    },

    async put(puts, origin): Promise<Head> {
      // The last value of a key is the one that would stay.
      const byKey = new Map(puts.map((put): [string, SharedPut] => [put.key, put]));
      const marks = Array.from(byKey.keys(), (key): Mark => ({ kind: "key", key }));
      const { keys, args } = appendArguments(wiring, marks, false, origin);
      for (const { key, value, ttl } of byKey.values()) {
        const { bytes, uploads, id } = await parts.stage(key, value);
        keys.push(...uploads);
        args.push(bytes, wholeTtl(ttl), id);
      }
      return headOf(await connection.run(PUT, keys, args));
    },

    async invalidate(marks, soft, origin): Promise<{ head: Head; hit: number }> {
      const script = soft ? INVALIDATE_SOFT : INVALIDATE_HARD;
      const { keys, args } = appendArguments(wiring, distinct(marks), soft, origin);
      const [head, hit] = listOf(await connection.run(script, keys, args));
      return { head: headOf(head), hit: Number(hit) };
    },

    async marks(marks): Promise<readonly { hard: number; soft: number }[]> {
      const asked = marks.filter((mark) => mark.kind !== "key");
      const members = asked.filter((mark) => !isRule(mark)).flatMap(membersOf);
      const rules = asked.filter(isRule).flatMap(membersOf);
      const reply = listOf(await connection.run(MARKS, state, [String(members.length), ...members, ...rules]));
      const floor = scoreOf(reply[0]);
      const scores = new Map([...members, ...rules].map((member, index) => [member, scoreOf(reply[index + 1])]));
      return marks.map((mark) => ({
        hard: Math.max(floor, scores.get(memberOf(mark, false)) ?? 0),
        soft: scores.get(memberOf(mark, true)) ?? 0,
      }));
    },

    async rules(): Promise<readonly { mark: Mark; hard: number; soft: number }[]> {
      const reply = listOf(await connection.run(RULES, state, []));
      const rules = new Map<string, { mark: Mark; hard: number; soft: number }>();
      for (let i = 0; i < reply.length; i += 2) {
        const member = textOf(reply[i]);
        const parsed = parseRule(member);
        if (parsed === undefined) continue;
        const rule = rules.get(member.slice(1)) ?? { mark: parsed.mark, hard: 0, soft: 0 };
        rule[parsed.soft ? "soft" : "hard"] = scoreOf(reply[i + 1]);
        rules.set(member.slice(1), rule);
      }
      return [...rules.values()];
    },

    async discard(key, stamp): Promise<boolean> {
      return Number(await connection.run(DISCARD, [layout.entry(key), layout.parts(key)], [stamp])) === 1;
    },

    list: (step) => listKeys(connection, layout, step),
  };
}

/**
 * What a script that appends a record is given before what is its own.
 *
 * @throws CacheError `ERR_CACHE_TIER` for more than one atomic step may take.
 */
export function appendArguments(
  { layout, bounds, signer }: Wiring,
  marks: readonly Mark[],
  soft: boolean,
  origin: string,
): { keys: string[]; args: (string | Uint8Array)[] } {
  if (marks.length > MAX_MARKS) {
    throw new CacheError(
      "ERR_CACHE_TIER",
      `One atomic step takes at most ${MAX_MARKS} keys and marks, got ${marks.length}`,
    );
  }
  const entries: string[] = [];
  const leases: string[] = [];
  const parts: string[] = [];
  const members: string[] = [];
  const rules: string[] = [];
  for (const mark of marks) {
    if (mark.kind === "key") {
      entries.push(layout.entry(mark.key));
      leases.push(layout.lease(mark.key));
      parts.push(layout.parts(mark.key));
    } else {
      (isRule(mark) ? rules : members).push(memberOf(mark, soft));
    }
  }
  return {
    keys: [...stateKeys(layout), ...entries, ...leases, ...parts],
    args: [
      encodeBody(origin, soft, marks, signer),
      members.length + rules.length > 0 ? "1" : "0",
      String(bounds.logLength),
      String(bounds.maxMarks),
      String(bounds.maxRules),
      String(Math.round(bounds.entryRetention * 1_000)),
      layout.channel,
      String(members.length),
      String(rules.length),
      ...members,
      ...rules,
    ],
  };
}

/** The keys every script that reads or moves the log's state begins with. */
export function stateKeys(layout: Layout): readonly string[] {
  return [layout.head, layout.log, layout.marks, layout.rules];
}

/** @throws CacheError `ERR_CACHE_TIER` when it is not a head: something else answered. */
export function headOf(reply: unknown): Head {
  const head = parseHead(reply instanceof Uint8Array ? reply : undefined);
  if (head === undefined) throw new CacheError("ERR_CACHE_TIER", "Expected the log's head in reply to a script");
  return head;
}

/** @throws CacheError `ERR_CACHE_TIER` when it is not a list. */
export function listOf(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new CacheError("ERR_CACHE_TIER", "Expected a list in reply to a script");
  return reply;
}

/** Whole milliseconds for PX, rounded up: an entry knows itself when its time is over. */
export function wholeTtl(ttl: number): string {
  return String(Math.min(Math.max(1, Math.ceil(ttl)), MAX_DURATION));
}

function distinct(marks: readonly Mark[]): readonly Mark[] {
  return [...new Map(marks.map((mark) => [memberOf(mark, false), mark])).values()];
}

function membersOf(mark: Mark): [hard: string, soft: string] {
  return [memberOf(mark, false), memberOf(mark, true)];
}

function scoreOf(reply: unknown): number {
  return reply === null || reply === undefined ? 0 : Number(textOf(reply));
}
