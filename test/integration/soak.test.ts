import { expect, it } from "vitest";
import { soak } from "../soak/soak.js";
import { STRIKES } from "../soak/strikes.js";

const isLong = process.env["TIERCACHE_LONG"] === "true";

/** The first episodes of `npm run soak`, each once and short. Whether memory stays flat shows only there. */
it("the demo's API keeps its bound under load and every fault, and no process ends by itself", async () => {
  const results = await soak({
    episodes: isLong ? STRIKES.length : 3,
    episode: 1_500,
    issues: 1_000,
    seed: 1,
    onEpisode: () => undefined,
  });
  for (const { strike, requests, beyondBound, wrongAfterQuiet, examples } of results) {
    expect([strike, beyondBound, wrongAfterQuiet, examples]).toEqual([strike, 0, 0, expect.anything()]);
    expect([strike, requests > 50]).toEqual([strike, true]);
  }
}, 120_000);
