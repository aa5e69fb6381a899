import { parseArgs } from "node:util";
import { fill, rival } from "./contend.js";
import { heapBytes } from "./heap.js";
import { keys } from "./keys.js";
import { LIBRARIES, TTL, type Library } from "./stores.js";

/*
 * Fills one library to its bound, then sets as many keys again, and prints what the heap has grown by both times, as
 * JSON. Keys are made before; the value is one small integer, which takes nothing beside the word that refers to it.
 * Its own process, with --expose-gc.
 */

const { values } = parseArgs({
  options: { library: { type: "string" }, entries: { type: "string" }, ttl: { type: "boolean", default: false } },
});
const { make } = LIBRARIES[values.library ?? ""] as Library;
const entries = Number(values.entries);
const ttl = values.ttl ? TTL : undefined;
// First without weighing, so that compiled code is not weighed with the entries.
const trial = await rival("trial", make(10_000, ttl));
await fill(trial, keys(2 * entries, 20_000), 1);
await trial.store.close?.();

const first = keys(0, entries);
const second = keys(entries, entries);
const before = heapBytes();
const started = process.cpuUsage();
const measured = await rival("measured", make(entries, ttl));
await fill(measured, first, 1);
const { user, system } = process.cpuUsage(started);
const filled = (heapBytes() - before) / entries;
await fill(measured, second, 1);
const inUse = (heapBytes() - before) / entries;
// A use after the weighing, or the optimizer lets them go before it.
if ([...first, ...second].every((text) => measured.store.get(text) !== 1))
  throw new Error("Expected entries to be there");
console.log(JSON.stringify({ filled, inUse, micros: (user + system) / entries }));
process.exit();
