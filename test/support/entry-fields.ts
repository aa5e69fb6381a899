import type { EntryFields } from "../../src/entries/entry.js";

/** The fields of an entry, with what matters to a test given. */
export function entryFields(given: Partial<EntryFields> = {}): EntryFields {
  return {
    value: { id: 1 },
    stamp: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    ttl: 60_000,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    loadCost: 0,
    position: 0,
    tags: ["team:7"],
    fingerprint: 0,
    etag: undefined,
    sliding: false,
    ...given,
  };
}
