import type { CacheOptions, EntryPolicy } from "./options.js";
import {
  DEFAULT_POLICY,
  knownOptions,
  optionError,
  POLICY_FIELDS,
  resolvePolicy,
  type ResolvedPolicy,
} from "./policy.js";
import { presets } from "./presets.js";

const CACHE_FIELDS: readonly string[] = [
  ...POLICY_FIELDS,
  "name",
  "tiers",
  "presets",
  "isolation",
  "loads",
  "shared",
  "compression",
  "encryption",
  "hotKeys",
  "feed",
  "staleness",
  "maxKeyLength",
  "clock",
  "random",
];

/**
 * The policy that a cache's calls start from, and the presets they may name.
 *
 * @throws CacheError `ERR_CACHE_OPTION` naming the option, its rule and the value.
 */
export function resolveCacheOptions(options: CacheOptions): {
  readonly policy: ResolvedPolicy;
  readonly known: Readonly<Record<string, EntryPolicy>>;
} {
  if (typeof options !== "object" || options === null) throw optionError("options", "an object", options);
  knownOptions(options, CACHE_FIELDS, "createCache");
  const { isolation } = options;
  if (isolation !== undefined && !["freeze", "clone", "none"].includes(isolation)) {
    throw optionError("isolation", "freeze, clone or none", isolation);
  }
  if (options.presets !== undefined && (typeof options.presets !== "object" || options.presets === null)) {
    throw optionError("presets", "an object of policies by name", options.presets);
  }
  const known = { ...presets, ...options.presets };
  // Checked now, all of them: a preset that is wrong would otherwise fail the first call that names it.
  for (const [name, preset] of Object.entries(known)) {
    knownOptions(preset, POLICY_FIELDS, `presets.${name}`);
    resolvePolicy(DEFAULT_POLICY, preset, known);
  }
  return { policy: resolvePolicy(DEFAULT_POLICY, options, known), known };
}
