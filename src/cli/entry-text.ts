import type { TierExplanation } from "../explain.js";
import type { ShownEntry, ShownFacts } from "./shown-entry.js";
import { bytes, milliseconds } from "../figures.js";
import { plainText } from "../plain-text.js";
import { span } from "../spans.js";
import type { Terminal } from "./terminal.js";

type Colors = Terminal["colors"];

/** An entry with everything that is known of it, for people. */
export function entryText(entry: ShownEntry, colors: Colors): string {
  const { explanation, entity, scope, version } = entry;
  const lines = [colors.bold(explanation.key)];
  if (entity !== undefined) lines.push(`entity ${entity}, scope ${scope ?? ""}, version ${version ?? 1}`);
  for (const tier of tiersOf(entry)) {
    const facts = tier.tier === "memory" ? entry.memory : entry.shared;
    lines.push("", `${colors.bold(tier.tier)}: ${stateText(tier, colors)}`);
    if (facts !== null) lines.push(...factLines(facts, tier));
  }
  const value = (entry.memory ?? entry.shared)?.value;
  lines.push("", value === null || value === undefined ? "the value is not shown" : value.text);
  return `${lines.join("\n")}\n`;
}

/** Why a read would hit or miss, step by step, for people. */
export function explanationText(entry: ShownEntry, colors: Colors): string {
  const { explanation } = entry;
  const lines = [explanation.key, explanation.summary, ""];
  const tiers = tiersOf(entry);
  const steps = entry.steps.filter(({ what }) => what !== "memory" || tiers.some(({ tier }) => tier === "memory"));
  for (const tier of tiers) lines.push(`${tier.tier}: ${stateText(tier, colors)}`);
  if (steps.length > 0) {
    lines.push("", "a read, step by step:");
    for (const { what, took, bytes: size } of steps)
      lines.push(
        `  ${what.padEnd(7)} ${milliseconds(took).padStart(10)}${size === undefined ? "" : `  ${bytes(size)}`}`,
      );
  }
  const { failures, loading } = explanation;
  if (loading) lines.push("", "a load of it is under way");
  if (failures !== undefined && failures !== null)
    lines.push("", `its loader failed ${failures.count} times in a row; tried again in ${span(failures.retryIn)}`);
  return `${lines.join("\n")}\n`;
}

/** Without memory where the one that answers has none. */
function tiersOf({ explanation, steps }: ShownEntry): readonly TierExplanation[] {
  const hasShared = explanation.tiers.length > 1;
  const memory = explanation.tiers.find(({ tier }) => tier === "memory");
  const isEmpty =
    memory?.state === "absent" && steps.every(({ what, bytes: size }) => what !== "memory" || size === undefined);
  return hasShared && isEmpty && memory?.reason === "cold"
    ? explanation.tiers.filter(({ tier }) => tier !== "memory")
    : explanation.tiers;
}

function stateText({ state, reason, freshFor, age, bytes: size }: TierExplanation, colors: Colors): string {
  const paint = { fresh: colors.green, stale: colors.yellow, dead: colors.red, absent: colors.dim, down: colors.red }[
    state
  ];
  const parts = [paint(state) + (isSaid(reason) ? ` (${reason})` : "")];
  if (isSaid(freshFor)) parts.push(freshFor >= 0 ? `fresh for ${span(freshFor)}` : `stale since ${span(-freshFor)}`);
  if (isSaid(age)) parts.push(`${span(age)} old`);
  if (isSaid(size)) parts.push(bytes(size));
  return parts.join(", ");
}

function factLines(facts: ShownFacts, { position }: TierExplanation): readonly string[] {
  const { ttl, staleWhileRevalidate, staleIfError, tags, etag, loadCost, sliding } = facts;
  const times = [`ttl ${span(ttl)}${sliding ? ", sliding" : ""}`];
  if (staleWhileRevalidate > 0) times.push(`stale while revalidated ${span(staleWhileRevalidate)}`);
  if (staleIfError > 0) times.push(`stale if error ${span(staleIfError)}`);
  if (loadCost > 0) times.push(`loaded in ${milliseconds(loadCost)}`);
  return [
    `  ${times.join(", ")}`,
    ...(tags.length === 0 ? [] : [`  tags ${tags.map(plainText).join(", ")}`]),
    ...(isSaid(etag) ? [`  validator ${plainText(etag)}`] : []),
    ...(isSaid(position) ? [`  position ${position}`] : []),
  ];
}

/** What JSON has left out, or made null. */
function isSaid<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
