import { Verdict, type Figures, type Measured } from "./figures.js";
import { Harness } from "./harness.js";
import type { PeerName } from "./protocol.js";
import type { Workers } from "./workers.js";

/** One way in which things go wrong, and what must hold all the same. */
export interface Scenario {
  readonly name: string;
  /** Left to `npm run faults`: what CI would learn of it, it learns of another. */
  readonly isOnlyFull?: boolean | undefined;
  /** Why it cannot be asked of this library; `undefined` when it can. */
  readonly unsupported?: ((harness: Harness) => string | undefined) | undefined;
  run(harness: Harness, verdict: Verdict): Promise<Measured>;
}

/** A scenario that hangs is a broken one; its processes are ended all the same. */
const LONGEST = { small: 40_000, full: 240_000 } as const;

/** Runs a scenario for a library; whatever happens, nothing of it is left running. */
export async function runScenario(
  scenario: Scenario,
  peer: PeerName,
  size: "small" | "full",
  workers: Workers,
): Promise<Figures> {
  const harness = new Harness(peer, size, workers);
  const verdict = new Verdict();
  const about = { scenario: scenario.name, peer };
  const unsupported = scenario.unsupported?.(harness);
  if (unsupported !== undefined) return { ...about, unsupported, ok: true, why: [], slow: [] };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${LONGEST[size] / 1000} s`)), LONGEST[size]);
  });
  let measured: Measured = {};
  const from = performance.now();
  try {
    measured = await Promise.race([scenario.run(harness, verdict), late]);
  } catch (error) {
    verdict.must(false, error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
    await harness.close();
  }
  const { judgement: _, ...figures } = measured as Measured & { judgement?: unknown };
  const took = Math.round(performance.now() - from);
  return { ...about, ...figures, took, ok: verdict.why.length === 0, why: verdict.why, slow: verdict.slow };
}
