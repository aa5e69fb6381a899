import type { SharedTier } from "../tiers/shared.js";
import { isolationTests } from "./suite/isolation.js";
import { largeValueTests } from "./suite/large-values.js";
import { leaseTests } from "./suite/leases.js";
import { logTests } from "./suite/log.js";
import { markTests } from "./suite/marks.js";
import { raceTests } from "./suite/races.js";
import { storeTests } from "./suite/store.js";
import { subscriptionTests } from "./suite/subscriptions.js";

/** Bounds the suite makes small. What an implementation does not bound it may leave out, and fails the test of it. */
export interface SharedTierBounds {
  readonly maxMarks?: number;
  readonly maxRules?: number;
}

/**
 * What a server makes impossible for a tier, which says so in its documentation; the suite asks for less there.
 *
 * - `settled`: to hear that a lease ended.
 * - `batches`: to write or read several keys in one step. No entry it reads is older than the head it reads, all the same.
 */
export type SharedTierLack = "settled" | "batches";

/** A shared tier under test, with what the suite must be able to do to its server. */
export interface SharedTierServer {
  /** How long, in milliseconds, what the suite lets run out must live: longer than it takes to ask for it. @default 20 */
  readonly shortest?: number;
  /** How long it may be there after its time is over, in milliseconds. @default 20 */
  readonly lingers?: number;
  /** @default nothing */
  readonly lacks?: readonly SharedTierLack[];
  /** A tier as another process would have it: with a connection of its own. Closed by the suite. */
  open(cacheName: string, bounds?: SharedTierBounds): SharedTier | Promise<SharedTier>;
  /** Restarts it empty. */
  flush(): Promise<void>;
  /** Forgets every record of every log, and nothing else. */
  trimLog(): Promise<void>;
  /** Lets time pass, on the clock the server goes by. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** The two functions of a test runner that the suite needs: vitest's, `node:test`'s, jest's. */
export interface TestRunner {
  describe(name: string, define: () => void): unknown;
  it(name: string, test: () => Promise<void>): unknown;
}

/**
 * Every sentence of the contract of shared tiers, as a test. Each test opens a server of its own (which may be the
 * same one, flushed) and closes it.
 *
 * ```ts
 * sharedTierSuite("memory", async () => openMyServer(), { describe, it });
 * ```
 */
export function sharedTierSuite(name: string, open: () => Promise<SharedTierServer>, runner: TestRunner): void {
  runner.describe(name, () => {
    storeTests(open, runner);
    largeValueTests(open, runner);
    markTests(open, runner);
    leaseTests(open, runner);
    logTests(open, runner);
    subscriptionTests(open, runner);
    isolationTests(open, runner);
    raceTests(open, runner);
  });
}
