import { createCache, memory } from "tiercache";
import { cachedResponses, forwardInvalidations } from "tiercache/http";

const shared = Symbol.for("tiercache.example");

/** Next.js bundles this file several times, and loads the handlers beside the bundles: the cache of a process is one all the same. */
const world = (globalThis[shared] ??= setUp());

function setUp() {
  const cache = createCache({ tiers: [memory()] });
  const names = new Map();
  const contacts = cache.entity({
    name: "contact",
    load: (id) => ({ id, name: names.get(id) ?? `Contact ${Number(id)}` }),
  });
  // An entity's invalidation reaches what carries its surrogate key.
  const forwarding = forwardInvalidations(cache, [cachedResponses(cache)], { by: "writer" });
  return { cache, names, contacts, forwarding, source: { url: process.env["NEWS_URL"] ?? "http://127.0.0.1:1/" } };
}

export const { cache, names, contacts, forwarding, source } = world;
