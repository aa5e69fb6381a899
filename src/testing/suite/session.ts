import assert from "node:assert/strict";
import type { LogRecord, Mark } from "../../invalidation/record.js";
import type { LeaseAnswer, LogSignal, SharedTier, StoredValue } from "../../tiers/shared.js";
import type { SharedTierBounds, SharedTierLack, SharedTierServer, TestRunner } from "../shared-tier-suite.js";

/** Long enough that nothing expires while a test runs. */
export const LONG = 600_000;

/** What a test gets: a fresh, empty server and the means to open tiers on it. */
export interface Session {
  readonly server: SharedTierServer;
  /** Another process's connection. @default cache "suite" */
  open(cacheName?: string, bounds?: SharedTierBounds): Promise<SharedTier>;
  /** A time to live that is over after `lapse`; milliseconds. */
  readonly short: number;
  /** Lets what lives `short` run out. */
  lapse(): Promise<void>;
  /** Whether the tier need not do it. */
  lacks(what: SharedTierLack): boolean;
  /** Waits, bounded, until it is so. */
  until(what: string, condition: () => boolean): Promise<void>;
}

export type OpenServer = () => Promise<SharedTierServer>;

/** Defines tests that each run on an empty server and leave nothing open. */
export function section(
  title: string,
  open: OpenServer,
  runner: TestRunner,
  define: (test: (name: string, run: (session: Session) => Promise<void>) => void) => void,
): void {
  runner.describe(title, () => {
    define((name, run) => runner.it(name, () => inSession(open, run)));
  });
}

async function inSession(open: OpenServer, run: (session: Session) => Promise<void>): Promise<void> {
  const server = await open();
  const tiers: SharedTier[] = [];
  try {
    await server.flush();
    const short = server.shortest ?? 20;
    await run({
      server,
      short,
      lapse: () => server.pass(short + (server.lingers ?? 20)),
      lacks: (what) => server.lacks?.includes(what) ?? false,
      async open(cacheName = "suite", bounds) {
        const tier = await server.open(cacheName, bounds);
        tiers.push(tier);
        return tier;
      },
      async until(what, condition) {
        for (let tries = 0; tries < 2_000; tries++) {
          if (condition()) return;
          await server.pass(1);
        }
        assert.fail(`never came: ${what}`);
      },
    });
  } finally {
    for (const tier of tiers) await tier.close();
    await server.close();
  }
}

/** An entry as tiers see one: the flag at byte 3, the stamp at 4 to 11, then anything. */
export function entry(stamp: number, payload: Uint8Array | string = "", flag: 0 | 1 = 0): Uint8Array {
  const rest = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const bytes = new Uint8Array(12 + rest.length);
  bytes.set([0x54, 0x43, 1, flag]);
  bytes.set(stampBytes(stamp), 4);
  bytes.set(rest, 12);
  return bytes;
}

export function stampBytes(stamp: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(stamp));
  return bytes;
}

export function assertBytes(actual: StoredValue | undefined, expected: Uint8Array | undefined): void {
  assert.equal(hex(atHand(actual)), hex(expected));
}

/** A stored value that is small enough to come along with the answer. */
export function atHand(value: StoredValue | undefined): Uint8Array | undefined {
  assert.ok(value === undefined || value instanceof Uint8Array, "a small value came as one to be fetched");
  return value;
}

export async function assertStored(tier: SharedTier, key: string, expected: Uint8Array | undefined): Promise<void> {
  assertBytes((await tier.store.read([key])).values[0], expected);
}

export function keyMarks(...keys: readonly string[]): Mark[] {
  return keys.map((key) => ({ kind: "key", key }));
}

/** One lease of a tier, with what varies given. */
export function acquire(
  tier: SharedTier,
  key: string,
  token: string,
  options: { readonly ttl?: number; readonly seen?: Uint8Array; readonly takeOver?: boolean } = {},
): Promise<LeaseAnswer> {
  return tier.leases.acquire(key, { ttl: LONG, token, ...options });
}

export function assertWon(answer: LeaseAnswer): number {
  assert.equal(answer.state, "won");
  return answer.fence;
}

/** Everything the log holds after a position it still knows. */
export async function recordsSince(tier: SharedTier, position: number): Promise<readonly LogRecord[]> {
  const { records } = await tier.log.since(position, 100_000);
  assert.ok(records !== undefined, `the log does not reach back to ${position}`);
  return records;
}

/** Subscribes and keeps what is heard. */
export async function listen(tier: SharedTier): Promise<{ heard: LogSignal[]; end: () => Promise<void> }> {
  const heard: LogSignal[] = [];
  const end = await tier.log.subscribe((signal) => heard.push(signal));
  return { heard, end };
}

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
