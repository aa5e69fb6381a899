import { createCache, key, pattern } from "tiercache";

const cache = createCache({ name: "shop" });
const stored = async () => (await cache.getMany(keys)).filter((value) => value !== undefined).length;
const keys = [key`product:${1}:page=${1}`, key`product:${1}:page=${2}`, key`product:${2}:page=${1}`, "home"];
const fill = async () => {
  for (const each of keys) await cache.set(each, "html", { tags: ["html", ["brand", 7]] });
};

for (const [what, target] of [
  ["a key", { key: "home" }],
  ["a tag", { tag: ["brand", 7] }],
  ["both of two tags", { tags: ["html", ["brand", 8]], match: "all" }],
  ["a prefix", { prefix: key`product:${1}` }],
  ["a pattern", { pattern: pattern`product:*:page=${1}` }],
  ["everything", { all: true }],
] as const) {
  await fill();
  await cache.invalidate(target);
  console.log(`${what}: ${await stored()} of 4 are left`);
}

// Softly: stale, and served while it is loaded anew or when that fails.
await fill();
await cache.invalidate({ tag: "html" }, { mode: "soft" });
console.log("softly:", await stored(), "fresh,", await cache.get("home", { stale: true }));

// A room of its own: what is invalidated in it leaves everything outside alone.
const jobs = cache.namespace("jobs");
await jobs.set("home", 1);
await jobs.invalidate({ all: true });
console.log("the namespace:", await jobs.get("home"), "and outside:", await cache.get("home", { stale: true }));
await cache.close();
