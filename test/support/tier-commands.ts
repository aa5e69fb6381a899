import fc from "fast-check";
import { expect } from "vitest";
import type { Head, LogRecord, Mark } from "../../src/invalidation/record.js";
import { SharedMemory } from "../../src/testing/index.js";
import { atHand, entry, keyMarks, LONG, stampBytes } from "../../src/testing/suite/session.js";
import type { LeaseAnswer, SharedTier } from "../../src/tiers/shared.js";

/** Small, so that a few commands reach them. */
export const BOUNDS = { maxMarks: 4, maxRules: 2 };

/** A real server under test: two connections to it, with `BOUNDS`. */
export interface RealServer {
  readonly tiers: readonly SharedTier[];
  /** Restarts it empty. */
  flush(): Promise<unknown>;
  close(): Promise<void>;
}

/** One of two servers under the same commands, with its numbers replaced by the order in which they came. */
class Side {
  readonly tiers: readonly SharedTier[];
  readonly flush: () => Promise<unknown>;
  readonly #seen = new Map<number, number>();
  readonly positions: number[] = [0];

  constructor(tiers: readonly SharedTier[], flush: () => Promise<unknown>) {
    this.tiers = tiers;
    this.flush = flush;
  }

  rank(position: number): number {
    if (position === 0) return 0;
    let rank = this.#seen.get(position);
    if (rank === undefined) {
      rank = this.#seen.size + 1;
      this.#seen.set(position, rank);
      this.positions.push(position);
    }
    return rank;
  }

  head(head: Head | undefined): unknown {
    return (
      head && { position: this.rank(head.position), control: this.rank(head.control), floor: this.rank(head.floor) }
    );
  }

  record(record: LogRecord): unknown {
    // The older first: it may be named here for the first time.
    const previous = this.rank(record.previous);
    return { ...record, previous, position: this.rank(record.position) };
  }

  lease(answer: LeaseAnswer): unknown {
    const { state, head } = answer;
    return { state, head: this.head(head), value: state === "filled" ? [...(atHand(answer.value) ?? [])] : undefined };
  }
}

type Command = (side: Side) => Promise<unknown>;

const which = fc.nat({ max: 1 });
const key = fc.constantFrom("a", "b", "/ns:a");
const token = fc.constantFrom("t", "u");
const stamp = fc.nat({ max: 5 });
const keys = fc.array(key, { maxLength: 3 });
const target = fc.constantFrom("x", "y", "z");
const mark: fc.Arbitrary<Mark> = fc.oneof(
  key.map((name): Mark => ({ kind: "key", key: name })),
  target.map((tag): Mark => ({ kind: "tag", tag })),
  target.map((prefix): Mark => ({ kind: "prefix", prefix })),
  target.map((pattern): Mark => ({ kind: "pattern", pattern })),
  fc.uniqueArray(target, { minLength: 1, maxLength: 2 }).map((tags): Mark => ({ kind: "tags", tags: tags.toSorted() })),
  fc.constant<Mark>({ kind: "all" }),
);
const marks = fc.uniqueArray(mark, { minLength: 1, maxLength: 4, selector: (item) => JSON.stringify(item) });

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.tuple(which, keys).map(([at, names]): Command => async (side) => {
    const { values, head } = await tierOf(side, at).store.read(names);
    return { values: values.map((value) => value && [...(atHand(value) ?? [])]), head: side.head(head) };
  }),
  fc.tuple(which, fc.array(fc.tuple(key, stamp), { minLength: 1, maxLength: 3 })).map(
    ([at, puts]): Command =>
      async (side) =>
        side.head(
          await tierOf(side, at).store.put(
            puts.map(([name, by]) => ({ key: name, value: entry(by), ttl: LONG })),
            `o${at}`,
          ),
        ),
  ),
  fc.tuple(which, marks, fc.boolean()).map(([at, list, soft]): Command => async (side) => {
    const { head, hit } = await tierOf(side, at).store.invalidate(list, soft, `o${at}`);
    return { head: side.head(head), hit };
  }),
  fc.tuple(which, marks).map(([at, list]): Command => async (side) => {
    const answer = await tierOf(side, at).store.marks([...list, ...keyMarks("a")]);
    // The head first: the floor may be named here for the first time.
    const head = side.head(await tierOf(side, at).log.head());
    return { head, answer: answer.map(({ hard, soft }) => [side.rank(hard), side.rank(soft)]) };
  }),
  which.map((at): Command => async (side) => {
    const rules = (await tierOf(side, at).store.rules()).map(({ mark: of, hard, soft }) => ({ of, hard, soft }));
    rules.sort((one, two) => (JSON.stringify(one.of) < JSON.stringify(two.of) ? -1 : 1));
    return rules.map(({ of, hard, soft }) => [of, side.rank(hard), side.rank(soft)]);
  }),
  fc.tuple(which, key, stamp).map(
    ([at, name, by]): Command =>
      (side) =>
        tierOf(side, at).store.discard(name, stampBytes(by)),
  ),
  fc.tuple(which, key, token, fc.option(stamp, { nil: undefined }), fc.boolean()).map(
    ([at, name, by, seen, takeOver]): Command =>
      async (side) =>
        side.lease(
          await tierOf(side, at).leases.acquire(name, {
            token: by,
            ttl: LONG,
            takeOver,
            seen: seen === undefined ? undefined : stampBytes(seen),
          }),
        ),
  ),
  fc.tuple(which, key, token).map(
    ([at, name, by]): Command =>
      (side) =>
        tierOf(side, at).leases.renew(name, by, LONG),
  ),
  fc.tuple(which, key, token, stamp).map(
    ([at, name, by, as]): Command =>
      (side) =>
        tierOf(side, at).leases.fill(name, by, entry(as), LONG),
  ),
  fc.tuple(which, key, token).map(
    ([at, name, by]): Command =>
      (side) =>
        tierOf(side, at).leases.release(name, by),
  ),
  fc.tuple(which, key, token, stamp).map(
    ([at, name, by, as]): Command =>
      async (side) =>
        side.head(await tierOf(side, at).leases.commit(name, by, entry(as), LONG, `o${at}`)),
  ),
  fc.tuple(which, fc.nat(), fc.integer({ min: 1, max: 4 })).map(([at, pick, limit]): Command => async (side) => {
    const { records, head, oldest } = await tierOf(side, at).log.since(
      side.positions[pick % side.positions.length] ?? 0,
      limit,
    );
    return {
      records: records?.map((record) => side.record(record)),
      head: side.head(head),
      oldest: oldest === undefined ? undefined : side.rank(oldest),
    };
  }),
);
const flush: Command = async (side) => void (await side.flush());

function tierOf(side: Side, at: number): SharedTier {
  const tier = side.tiers[at];
  if (tier === undefined) throw new Error(`no tier ${at}`);
  return tier;
}

/** Runs random sequences of commands on a real server and on the one in memory: they must give the same answers. */
export async function expectAnswersOfModel(open: () => Promise<RealServer>, numRuns: number): Promise<void> {
  const step = fc.oneof({ weight: 30, arbitrary: command }, { weight: 1, arbitrary: fc.constant(flush) });
  await fc.assert(
    fc.asyncProperty(
      // Of any length up to that: by default fast-check keeps to about ten.
      fc.array(step, { maxLength: 80, size: "max" }),
      async (commands) => {
        const memory = new SharedMemory(BOUNDS);
        const model = new Side(
          [0, 1].map(() => memory.factory().open("c")),
          async () => memory.flush(),
        );
        const server = await open();
        try {
          const real = new Side(server.tiers, () => server.flush());
          await real.flush();
          for (const run of commands) expect(await run(real)).toEqual(await run(model));
        } finally {
          await server.close();
        }
      },
    ),
    { numRuns },
  );
}
