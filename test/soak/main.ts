import { parseArgs } from "node:util";
import { setup } from "../support/redis-server.js";
import { heapGrowth, soak, type EpisodeResult } from "./soak.js";

/*
 * npm run soak -- [--minutes 30] [--episode 20] [--issues 20000] [--seed 1]
 *
 * The demo's API under load with a fault every episode. Exits with 1 when an answer was beyond its bound or wrong after quiet,
 * when a process ended by itself, or when memory grew.
 */

/** A full cache holds now more small entries and now fewer large ones. */
const MOST_GROWTH = 1.25;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    episode: { type: "string", default: "20" },
    issues: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
  },
});
const episode = Number(values.episode);
setup();
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
const started = performance.now();
const results = await soak({
  episodes: Math.max(1, Math.round((Number(values.minutes) * 60) / episode)),
  episode: episode * 1_000,
  issues: Number(values.issues),
  seed: Number(values.seed),
  onEpisode: (result) => console.log(line(result)),
});
const sum = (of: (result: EpisodeResult) => number): number => results.reduce((total, one) => total + of(one), 0);
const broken = sum(({ beyondBound, wrongAfterQuiet }) => beyondBound + wrongAfterQuiet);
const growth = heapGrowth(results);
console.log(
  `${((performance.now() - started) / 60_000).toFixed(1)} min, ${sum(({ requests }) => requests).toLocaleString("en-US")} requests, ` +
    `${broken} answers beyond their bound or wrong after quiet, ${
      Number.isNaN(growth) ? "too short to compare heaps" : `heap ${growth.toFixed(2)} times that of half a life before`
    }`,
);
if (broken > 0 || growth > MOST_GROWTH) process.exitCode = 1;

function line({
  number,
  strike,
  requests,
  failed,
  beyondBound,
  wrongAfterQuiet,
  stalest,
  heaps,
  examples,
}: EpisodeResult): string {
  const megabytes = heaps.map(({ process, bytes }) => `#${process} ${(bytes / 1e6).toFixed(0)}`).join(", ");
  const counts = `${requests} requests, ${failed} failed, ${beyondBound} beyond the bound, ${wrongAfterQuiet} wrong after quiet`;
  const why = beyondBound + wrongAfterQuiet > 0 ? `\n    ${examples.join("\n    ")}` : "";
  return `${String(number).padStart(3)} ${strike.padEnd(30)} ${counts}, stalest ${stalest.toFixed(0)} ms, heaps ${megabytes} MB${why}`;
}
