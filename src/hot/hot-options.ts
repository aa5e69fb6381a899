import type { HotKeyOptions } from "../options.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";

/** `HotKeyOptions`, resolved. */
export interface HotKeySettings {
  readonly perSecond: number;
  readonly limit: number;
  readonly copies: number;
}

/** What `hotKeys: true` means. */
export const HOT_KEY_DEFAULTS: HotKeySettings = { perSecond: 1_000, limit: 64, copies: 1 };

/** More are not told apart from the rest by their rate, and each is looked at twice a second. */
const MOST_HOT = 1_000;

/** `undefined` when they are not looked for. @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveHotKeys(option: boolean | HotKeyOptions | undefined): HotKeySettings | undefined {
  if (option === false) return undefined;
  if (option === undefined || option === true) return HOT_KEY_DEFAULTS;
  knownOptions(option, Object.keys(HOT_KEY_DEFAULTS), "hotKeys");
  const { perSecond, limit, copies } = option;
  const settings: HotKeySettings = {
    perSecond: wholeNumber(perSecond ?? HOT_KEY_DEFAULTS.perSecond, "hotKeys.perSecond", 1),
    limit: wholeNumber(limit ?? HOT_KEY_DEFAULTS.limit, "hotKeys.limit", 1),
    copies: wholeNumber(copies ?? HOT_KEY_DEFAULTS.copies, "hotKeys.copies", 1),
  };
  if (settings.limit > MOST_HOT) throw optionError("hotKeys.limit", `an integer from 1 to ${MOST_HOT}`, limit);
  return settings;
}
