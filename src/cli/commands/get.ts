import type { Command } from "commander";

import type { ShownValue } from "../../admin/show-value.js";
import type { EntryFacts, InspectedEntry } from "../../inspect/inspect-entry.js";
import { CommandError } from "../command-error.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { entryText } from "../entry-text.js";
import { pathOfKey } from "../key-path.js";
import { addReachOptions, REACH_HELP, reach, type Reach, type ReachFlags } from "../reach.js";
import type { Terminal } from "../terminal.js";

interface EntryFlags extends ReachFlags {
  readonly json?: true;
}

/** An entry as the admin API shows it. */
export type ShownFacts = Omit<EntryFacts, "value"> & { readonly value: ShownValue | null };
export interface ShownEntry extends Omit<InspectedEntry, "memory" | "shared"> {
  readonly memory: ShownFacts | null;
  readonly shared: ShownFacts | null;
  /** Why values are not shown; `null` when they are. */
  readonly hidden: "role" | "settings" | null;
}

const KEYS = `
A key is written as in code (user:42), or as the dashboard and \`tiercache explain\` name it: an entity's entry is
<scope>:<entity>:<id>:v<version>, with the scope "global" where there is none.`;

const GET_EXAMPLES = `${KEYS}
${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache get --name crm acme:contact:42:v1
  $ tiercache get --name crm rates --json
  $ tiercache get --module cache.ts acme:contact:42:v1    # encrypted: the cache's own code has its keys

Secrets, and what the entity calls sensitive, are not shown.
Exit: 3 nothing is stored, 4 values are not shown there.`;

const INSPECT_EXAMPLES = `${KEYS}
${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache inspect --name crm acme:contact:42:v1
  $ tiercache inspect --admin http://127.0.0.1:7070 acme:contact:42:v1 --json

Exit: 3 nothing is stored.`;

/** `tiercache get`: the value of an entry. */
export function addGet(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(program.command("get <key>").description("the value that is stored under a key"))
    .option("--json", "print JSON")
    .addHelpText("after", GET_EXAMPLES)
    .action(async (key: string, flags: EntryFlags) => {
      const entry = await storedEntry(key, flags, terminal);
      const value = servedFrom(entry)?.value ?? null;
      if (value === null) throw new CommandError(EXIT.forbidden, "values are not shown there, or not to this role");
      const { text, redacted, cut } = value;
      if (flags.json === true) {
        const result = { schemaVersion: 1, key: entry.explanation.key, value: text, redacted, cut };
        terminal.out(`${JSON.stringify(result, undefined, 2)}\n`);
      } else terminal.out(`${text}\n`);
      if (redacted) terminal.note("part of it is not shown: secrets, or what its entity calls sensitive");
      end(EXIT.ok);
    });
}

/** `tiercache inspect`: everything that is known of an entry. */
export function addInspect(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(
    program.command("inspect <key>").description("an entry: its value, tags, times and sizes, in each tier"),
  )
    .option("--json", "print JSON")
    .addHelpText("after", INSPECT_EXAMPLES)
    .action(async (key: string, flags: EntryFlags) => {
      const entry = await storedEntry(key, flags, terminal);
      if (flags.json === true) terminal.out(`${JSON.stringify({ schemaVersion: 1, ...entry }, undefined, 2)}\n`);
      else terminal.out(entryText(entry, terminal.colors));
      end(EXIT.ok);
    });
}

async function storedEntry(key: string, flags: EntryFlags, terminal: Terminal): Promise<ShownEntry> {
  const to = await reach(flags, terminal);
  try {
    const path = pathOfKey(key);
    const entry = await askEntry(to, path);
    if (servedFrom(entry) !== undefined) return entry;
    throw await nothingStored(to, path, entry);
  } finally {
    await to.close();
  }
}

/** As the fastest tier has it that would answer with it, if only when a load fails. */
function servedFrom({ explanation, memory, shared }: ShownEntry): ShownFacts | undefined {
  const tier = explanation.tiers.find(({ state }) => state === "fresh" || state === "stale")?.tier;
  if (tier === undefined) return undefined;
  return (tier === "memory" ? memory : shared) ?? undefined;
}

export function askEntry(to: Reach, path: string): Promise<ShownEntry> {
  return to.get<ShownEntry>("entry", { path });
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
