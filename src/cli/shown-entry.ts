import type { ShownValue } from "../admin/show-value.js";
import type { EntryFacts, InspectedEntry } from "../inspect/inspect-entry.js";
import type { Reach } from "./reach.js";

/** What a tier has of an entry, as the admin API shows it. */
export type ShownFacts = Omit<EntryFacts, "value"> & { readonly value: ShownValue | null };

/** An entry as the admin API shows it. */
export interface ShownEntry extends Omit<InspectedEntry, "memory" | "shared"> {
  readonly memory: ShownFacts | null;
  readonly shared: ShownFacts | null;
  /** Why values are not shown; `null` when they are. */
  readonly hidden: "role" | "settings" | null;
}

export function askEntry(to: Reach, path: string): Promise<ShownEntry> {
  return to.get<ShownEntry>("entry", { path });
}
