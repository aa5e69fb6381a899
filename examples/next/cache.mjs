import { createClient } from "redis";
import { createCache, memory } from "tiercache";
import { redis } from "tiercache/redis";

const shared = Symbol.for("tiercache.example");

/** Next.js bundles this file several times, and loads the handlers beside the bundles: the cache of a process is one all the same. */
const world = await (globalThis[shared] ??= setUp());

async function setUp() {
  const client = createClient({ url: process.env["REDIS_URL"] });
  client.on("error", () => {}); // a lost Redis is an event of the cache, not a crash
  await client.connect();
  const cache = createCache({ name: "example", tiers: [memory(), redis(client)] });
  const source = { url: process.env["SOURCE_URL"] };
  const contacts = cache.entity({
    name: "contact",
    // Pages hang on contacts: what invalidates one invalidates what was rendered from it.
    dependents: true,
    load: async (id) => ({
      id,
      name: await (await fetch(`${source.url}contacts/${Number(id)}`, { cache: "no-store" })).text(),
    }),
  });
  return { cache, contacts, source };
}

export const { cache, contacts, source } = world;
