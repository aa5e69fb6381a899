import type { EntryFlags } from "../commands/get.js";
import { explanationText } from "../entry-text.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { pathOfKey } from "../key-path.js";
import { withReach } from "../reach.js";
import { askEntry } from "../shown-entry.js";
import type { Terminal } from "../terminal.js";
import { jsonText } from "../json-text.js";

/** Where a key is stored, and why a read of it would hit or miss. */
export async function explain(key: string, flags: EntryFlags, terminal: Terminal): Promise<ExitCode> {
  const entry = await withReach(flags, terminal, (to) => askEntry(to, pathOfKey(key)));
  if (flags.json === true) {
    const { explanation, entity, scope, version, steps } = entry;
    const result = { ...explanation, entity, scope, version, steps };
    terminal.out(jsonText(result));
  } else terminal.out(explanationText(entry, terminal.colors));
  return entry.explanation.tiers.some(({ state }) => state === "down") ? EXIT.unreachable : EXIT.ok;
}
