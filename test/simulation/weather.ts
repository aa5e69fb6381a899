import type { Random } from "./random.js";

/** How unkind one run is. */
export interface Weather {
  /** Pushes are lost and doubled. */
  readonly pushes: boolean;
  /** Requests and answers are lost; connections hang and heal; a process dies. */
  readonly calls: boolean;
  /** The shared tier restarts empty, and its log is trimmed. */
  readonly server: boolean;
  /** Steps come in any order; else those of a kind in the order they were made. */
  readonly reordered: boolean;
  /** Loads fail now and then. */
  readonly source: boolean;
  /** Milliseconds a stale value may be served, on either ground; 0 never. */
  readonly stale: number;
  /** Failures in a row that open the breaker: soon, or hardly ever. */
  readonly breakerFailures: number;
  /** Memory is looked at after every step. Looking judges and drops, which may hide what waits to be judged. */
  readonly watched: boolean;
}

/** Any weather; most of it is mixed. */
export function drawWeather(random: Random): Weather {
  return {
    pushes: random.chance(0.7),
    calls: random.chance(0.4),
    server: random.chance(0.2),
    reordered: random.chance(0.7),
    source: random.chance(0.3),
    stale: random.pick([0, 0, 3_000]),
    breakerFailures: random.pick([3, 1_000]),
    watched: random.chance(0.5),
  };
}
