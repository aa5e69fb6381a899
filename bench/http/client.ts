import { Agent, interceptors, request, fetch as undiciFetch } from "undici";

import { createCache, memory } from "../../src/index.js";
import { cachedFetch } from "../../src/http/index.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import { PATH } from "./document.js";
import { startNode } from "./servers.js";

/** A hit in a client's cache, one after the other, its body read. */
export async function client({ plan }: Setting): Promise<readonly CaseResult[]> {
  const origin = await startNode("bare", 0);
  const url = `http://127.0.0.1:${origin.port}${PATH}`;
  const cache = createCache({ name: "bench", tiers: [memory({ maxBytes: "64mb" })] });
  const dispatcher = new Agent().compose(interceptors.cache());
  const cached = cachedFetch(cache);
  const contenders: readonly Contender[] = [
    times("tiercache cachedFetch", async () => (await cached(url)).arrayBuffer()),
    times("undici request", async () => (await request(url, { dispatcher })).body.arrayBuffer()),
    times("undici fetch", async () => (await undiciFetch(url, { dispatcher })).arrayBuffer()),
  ];
  try {
    for (const contender of contenders) await contender.run(2);
    return [
      caseResult("client", "a kilobyte from the client's own cache, its body read", await interleave(contenders, plan)),
    ];
  } finally {
    await cache.close();
    await dispatcher.close();
    await origin.stop();
  }
}

function times(name: string, once: () => Promise<unknown>): Contender {
  return {
    name,
    run: async (operations) => {
      for (let index = 0; index < operations; index += 1) await once();
    },
  };
}
