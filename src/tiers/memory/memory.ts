import { CacheError } from "../../errors.js";
import type { MemoryFactory, MemoryOptions } from "../../options.js";
import { MOST_ENTRIES, toBytes, toCount } from "./limits.js";

/** What `memory()` means when an option is not given. */
export const MEMORY_DEFAULTS: { readonly maxEntries: number; readonly maxBytes: string } = {
  maxEntries: 1_000_000,
  maxBytes: "64mb",
};

/** `maxEntryBytes` when it is not given, as a share of `maxBytes`. */
const ENTRY_SHARE = 1 / 8;

export interface ResolvedMemory {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
  /** The caller's own; without it values are measured as they are made safe to keep. */
  readonly sizeOf: ((value: unknown) => number) | undefined;
}

/**
 * The in-process tier, for `createCache({ tiers: [memory({ maxBytes: "64mb" }), …] })`.
 *
 * @throws CacheError `ERR_CACHE_OPTION`
 */
export function memory(options: MemoryOptions = {}): MemoryFactory {
  resolveMemory(options);
  return { kind: "memory", options };
}

/** @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value. */
export function resolveMemory(options: MemoryOptions): ResolvedMemory {
  const maxEntries = toCount(options.maxEntries ?? MEMORY_DEFAULTS.maxEntries, "maxEntries", MOST_ENTRIES);
  const maxBytes = toBytes(options.maxBytes ?? MEMORY_DEFAULTS.maxBytes, "maxBytes");
  const maxEntryBytes = toBytes(
    options.maxEntryBytes ?? Math.max(1, Math.floor(maxBytes * ENTRY_SHARE)),
    "maxEntryBytes",
  );
  if (maxEntryBytes > maxBytes) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`maxEntryBytes\` to be at most \`maxBytes\` (${maxBytes}), got \`${options.maxEntryBytes}\``,
    );
  }
  if (options.sizeOf !== undefined && typeof options.sizeOf !== "function") {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`sizeOf\` to be a function, got \`${typeof options.sizeOf}\``);
  }
  return { maxEntries, maxBytes, maxEntryBytes, sizeOf: options.sizeOf };
}
