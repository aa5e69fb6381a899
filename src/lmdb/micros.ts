import type { Clock } from "../clock.js";

/** How far the two clocks may drift apart before the wall clock is read anew; milliseconds. */
const DRIFT = 2;

/** The wall clock in whole microseconds, between its milliseconds by the monotonic clock. */
export function microseconds(clock: Clock): () => number {
  let wall = clock.wall();
  let now = clock.now();
  return () => {
    const read = clock.wall();
    const elapsed = clock.now() - now;
    if (Math.abs(wall + elapsed - read) <= DRIFT) return Math.floor((wall + elapsed) * 1_000);
    wall = read;
    now += elapsed;
    return wall * 1_000;
  };
}
