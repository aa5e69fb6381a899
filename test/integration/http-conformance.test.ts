import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createCache } from "../../src/cache.js";
import { cachedFetch } from "../../src/http/fetch.js";
import { GatewayWorld } from "../support/gateway-world.js";
import {
  fetchAsker,
  play,
  ScriptedOrigin,
  socketAsker,
  type Asker,
  type Face,
  type Row,
} from "../support/scripted-http.js";
import { FRESHNESS } from "../support/http-rows/freshness.js";
import { FIELDS } from "../support/http-rows/fields.js";
import { INVALIDATION } from "../support/http-rows/invalidation.js";
import { RANGES } from "../support/http-rows/ranges.js";
import { REQUESTS } from "../support/http-rows/requests.js";
import { STALE } from "../support/http-rows/stale.js";
import { STORING } from "../support/http-rows/storing.js";
import { TARGETED } from "../support/http-rows/targeted.js";
import { VALIDATION } from "../support/http-rows/validation.js";
import { VARY } from "../support/http-rows/vary.js";

/*
 * What the RFCs ask of an HTTP cache, from outside: a scripted origin behind the gateway with its defaults, and behind
 * `cachedFetch`, private and shared. All rows are played at once, each under a path of its own; the tests then read what came.
 */

const ROWS: readonly Row[] = [
  ...FRESHNESS, ...STORING, ...REQUESTS, ...VARY, ...VALIDATION, ...RANGES, ...INVALIDATION, ...STALE, ...FIELDS, ...TARGETED,
]; // prettier-ignore
const FACES: readonly Face[] = ["gateway", "private", "shared"];
/** Rows under way at once. */
const AT_ONCE = 16;

const world = new GatewayWorld();
const origin = new ScriptedOrigin();
const wrong = new Map<string, readonly string[]>();
const ends: (() => Promise<void> | void)[] = [];

const isFor = (row: Row, face: Face): boolean => row.faces === undefined || row.faces.includes(face);
const keyOf = (face: Face, index: number): string => `/${face}/${index}`;

async function askers(): Promise<ReadonlyMap<Face, Asker>> {
  const base = await origin.open();
  const { url } = await world.gateway({ origin: base });
  const client = socketAsker(url);
  const caches = [createCache(), createCache()] as const;
  ends.push(client.close, ...caches.map((cache) => () => cache.close()));
  return new Map<Face, Asker>([
    ["gateway", client.ask],
    ["private", fetchAsker(base, cachedFetch(caches[0]))],
    ["shared", fetchAsker(base, cachedFetch(caches[1], { shared: true }))],
  ]);
}

beforeAll(async () => {
  const asking = await askers();
  const due = FACES.flatMap((face) => ROWS.flatMap((row, index) => (isFor(row, face) ? [{ face, row, index }] : [])));
  const next = due.values();
  const work = async (): Promise<void> => {
    for (const { face, row, index } of next) {
      const key = keyOf(face, index);
      wrong.set(key, await play(origin, asking.get(face) as Asker, row, key));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}, 180_000);

afterAll(async () => {
  for (const end of ends) await end();
  await world.end();
  await origin.close();
});

describe.each(FACES)("%s", (face) => {
  const own = [...ROWS.entries()].filter(([, row]) => isFor(row, face));
  it.each(own.map(([index, { section, title }]) => [`${section} ${title}`, index] as const))("%s", (_name, index) => {
    expect(wrong.get(keyOf(face, index))?.join("\n")).toBe("");
  });
});

it("has no two rows of one name", () => {
  const names = ROWS.map(({ section, title }) => `${section} ${title}`);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
