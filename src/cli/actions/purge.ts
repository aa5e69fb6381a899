import type { PurgePreview, PurgeResult, TierCount } from "../../admin/purges.js";
import type { AdminTarget } from "../../admin/target.js";
import { integer } from "../../figures.js";
import { askUser, canAsk } from "../ask-user.js";
import { CommandError } from "../command-error.js";
import type { PurgeFlags } from "../commands/purge.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { withReach, type Reach } from "../reach.js";
import type { Terminal } from "../terminal.js";
import { jsonText } from "../json-text.js";

const KINDS = ["key", "tag", "prefix", "pattern", "entity"] as const;

/** Invalidates, after a look at what that would hit. */
export async function purge(flags: PurgeFlags, terminal: Terminal): Promise<ExitCode> {
  const target = targetOf(flags);
  return withReach(flags, terminal, (to) => run(to, target, flags, terminal));
}

function targetOf(flags: PurgeFlags): AdminTarget {
  const named = KINDS.filter((kind) => flags[kind] !== undefined);
  const [kind] = named;
  if (named.length + (flags.all === true ? 1 : 0) !== 1)
    throw new CommandError(EXIT.usage, "Expected one of --key, --tag, --prefix, --pattern, --entity and --all");
  if (flags.scope !== undefined && kind !== "tag" && kind !== "entity")
    throw new CommandError(EXIT.usage, "--scope is for --tag and --entity");
  if (kind === undefined) return { kind: "all", text: "" };
  return { kind, text: flags[kind] ?? "", ...(flags.scope !== undefined && { scope: flags.scope }) };
}

async function run(to: Reach, target: AdminTarget, flags: PurgeFlags, terminal: Terminal): Promise<ExitCode> {
  const soft = flags.hard !== true;
  terminal.status("counting what it would hit");
  const preview = await to.post<PurgePreview>("preview", { target, soft });
  terminal.status("");
  const shown = previewText(preview, to);
  if (flags.dryRun === true) {
    terminal.out(flags.json === true ? jsonOf(preview, undefined) : shown);
    return EXIT.ok;
  }
  if (flags.yes !== true) {
    terminal.note(shown.trimEnd());
    const isAgreed = await confirmed(preview);
    if (isAgreed === undefined) return EXIT.interrupted;
    if (!isAgreed) {
      terminal.note("nothing was purged");
      return EXIT.usage;
    }
  }
  const result = await to.post<PurgeResult>("purge", { token: preview.token, confirm: preview.confirm });
  if (flags.json === true) terminal.out(jsonOf(preview, result));
  else
    terminal.out(
      `${flags.yes === true ? shown : ""}purged; every process that has applied position ${result.position} serves none of it\n`,
    );
  return EXIT.ok;
}

/** `undefined` for Ctrl-C. @throws CommandError where there is nobody to ask. */
async function confirmed({ confirm }: PurgePreview): Promise<boolean | undefined> {
  if (!canAsk()) throw new CommandError(EXIT.usage, "nobody is here to ask: give --yes to purge, or --dry-run to look");
  const question = confirm === undefined ? "Purge? [y/N] " : `Type the cache's name, ${confirm}, to purge all of it: `;
  const answer = await askUser(question);
  if (answer === undefined) return undefined;
  return confirm === undefined ? /^y(?:es)?$/i.test(answer.trim()) : answer.trim() === confirm;
}

function previewText({ cache, marks, soft, memory, shared, sample }: PurgePreview, to: Reach): string {
  const lines = [`${soft ? "soft" : "hard"} purge of ${cache}: ${marks.join(", ")}`];
  if (to.hasMemory && memory !== undefined && memory !== null)
    lines.push(`  memory of one process: ${countText(memory)}`);
  if (shared !== undefined && shared !== null) lines.push(`  shared tier: ${countText(shared)}`);
  for (const key of sample) lines.push(`    ${key}`);
  const most = Math.max(memory?.entries ?? 0, shared?.entries ?? 0);
  if (most > sample.length) lines.push(`    … ${integer(most - sample.length)} more`);
  return `${lines.join("\n")}\n`;
}

function countText({ entries, examined, complete, problem }: TierCount): string {
  if (problem === "down") return "it does not answer";
  if (problem === "unlisted") return "it cannot list what it holds";
  const count = `${integer(entries)} ${entries === 1 ? "entry" : "entries"}`;
  return complete ? count : `${count} among the ${integer(examined)} looked at; there are more`;
}

function jsonOf(
  { token: _token, confirm: _confirm, ...preview }: PurgePreview,
  result: PurgeResult | undefined,
): string {
  return jsonText({ preview, purged: result ?? null });
}
