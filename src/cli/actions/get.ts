import { CommandError } from "../command-error.js";
import type { EntryFlags } from "../commands/get.js";
import { entryText } from "../entry-text.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { pathOfKey } from "../key-path.js";
import { withReach, type Reach } from "../reach.js";
import { askEntry, type ShownEntry, type ShownFacts } from "../shown-entry.js";
import type { Terminal } from "../terminal.js";
import { jsonText } from "../json-text.js";

/** The value of an entry. */
export async function get(key: string, flags: EntryFlags, terminal: Terminal): Promise<ExitCode> {
  const entry = await storedEntry(key, flags, terminal);
  const value = servedFrom(entry)?.value ?? null;
  if (value === null) throw new CommandError(EXIT.forbidden, "values are not shown there, or not to this role");
  const { text, redacted, cut } = value;
  if (flags.json === true) {
    const result = { key: entry.explanation.key, value: text, redacted, cut };
    terminal.out(jsonText(result));
  } else terminal.out(`${text}\n`);
  if (cut) terminal.note("only its beginning is shown: it is longer");
  if (redacted) terminal.note("part of it is not shown: secrets, or what its entity calls sensitive");
  return EXIT.ok;
}

/** Everything that is known of an entry. */
export async function inspect(key: string, flags: EntryFlags, terminal: Terminal): Promise<ExitCode> {
  const entry = await storedEntry(key, flags, terminal);
  if (flags.json === true) terminal.out(jsonText(entry));
  else terminal.out(entryText(entry, terminal.colors));
  return EXIT.ok;
}

function storedEntry(key: string, flags: EntryFlags, terminal: Terminal): Promise<ShownEntry> {
  return withReach(flags, terminal, async (to) => {
    const path = pathOfKey(key);
    const entry = await askEntry(to, path);
    if (servedFrom(entry) !== undefined) return entry;
    throw await nothingStored(to, path, entry);
  });
}

/** As the fastest tier has it that would answer with it, if only when a load fails. */
function servedFrom({ explanation, memory, shared }: ShownEntry): ShownFacts | undefined {
  const tier = explanation.tiers.find(({ state }) => state === "fresh" || state === "stale")?.tier;
  if (tier === undefined) return undefined;
  return (tier === "memory" ? memory : shared) ?? undefined;
}

async function nothingStored(to: Reach, path: string, { explanation }: ShownEntry): Promise<CommandError> {
  const shared = explanation.tiers.find(({ tier }) => tier === "shared");
  if (shared?.state === "down") return new CommandError(EXIT.unreachable, "the shared tier does not answer");
  if (shared?.state === "dead") {
    const why =
      shared.reason === "error" || shared.reason === "corrupt"
        ? "it cannot be read here (encrypted? --module has the cache's own code read it)"
        : `it is not served any more (${shared.reason})`;
    return new CommandError(EXIT.notFound, `Something is stored under ${path}, but ${why}`);
  }
  const { keys } = await to.get<{ readonly keys: readonly { readonly key: string }[] }>("keys", {
    kind: "prefix",
    text: path,
  });
  const near = keys.slice(0, 3).map((one) => one.key);
  const hint = near.length === 0 ? "" : `; there is ${near.join(", ")}`;
  return new CommandError(EXIT.notFound, `Nothing is stored under ${path}${hint}`);
}
