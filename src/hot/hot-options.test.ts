import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createCache } from "../cache.js";
import type { HotKeyOptions } from "../options.js";
import { HOT_KEY_DEFAULTS, resolveHotKeys } from "./hot-options.js";

it("has the defaults that the docs of the options say", () => {
  const source = readFileSync(new URL("../options.ts", import.meta.url), "utf8");
  const body = /export interface HotKeyOptions \{([\s\S]*?)\n\}/.exec(source)?.[1] ?? "";
  const documented = Array.from(body.matchAll(/@default (\S+)[^?]*?\*\/\s*(\w+)\?:/g), ([, value, field]) => [
    field,
    Number(value),
  ]);
  expect(Object.fromEntries(documented)).toEqual(HOT_KEY_DEFAULTS);
  expect(resolveHotKeys(undefined)).toEqual(HOT_KEY_DEFAULTS);
  expect(resolveHotKeys({})).toEqual(HOT_KEY_DEFAULTS);
  expect(resolveHotKeys(true)).toEqual(HOT_KEY_DEFAULTS);
  expect(resolveHotKeys(false)).toBeUndefined();
});

it.each<[HotKeyOptions | number | null, string]>([
  [{ perSecond: 0 }, "Expected `hotKeys.perSecond` to be an integer of 1 or more, got `0`"],
  [{ perSecond: 1.5 }, "Expected `hotKeys.perSecond` to be an integer of 1 or more, got `1.5`"],
  [{ limit: 0 }, "Expected `hotKeys.limit` to be an integer of 1 or more, got `0`"],
  [{ limit: 1_001 }, "Expected `hotKeys.limit` to be an integer from 1 to 1000, got `1001`"],
  [{ copies: 0 }, "Expected `hotKeys.copies` to be an integer of 1 or more, got `0`"],
  [5, "Expected `hotKeys` to be an object, got `5`"],
  [null, "Expected `hotKeys` to be an object, got `null`"],
])("refuses %o", (hotKeys, message) => {
  expect(() => createCache({ hotKeys: hotKeys as HotKeyOptions })).toThrow(message);
});

it("refuses an option it does not know", () => {
  expect(() => createCache({ hotKeys: { rate: 5 } as HotKeyOptions })).toThrow("rate");
});
