import type { Overview } from "../admin/merge.js";
import type { ReadStats } from "../stats.js";
import { percentile } from "../time-histogram.js";
import { bytes, integer, milliseconds, percent } from "../figures.js";
import { plainText } from "../plain-text.js";
import { span } from "../spans.js";
import type { Terminal } from "./terminal.js";
import { textTable, type TableCell } from "./text-table.js";

type Colors = Terminal["colors"];

const HEAD = ["entity", "reads", "hit ratio", "stale", "misses", "loads", "load time", "failed", "shared"];

/** What the processes of a cache counted, for people. */
export function statsText(overview: Overview, colors: Colors): string {
  const { total } = overview;
  const rows = Object.entries(overview.entities)
    .filter(([, stats]) => stats.gets > 0)
    .sort(([, a], [, b]) => b.gets - a.gets)
    .map(([name, stats]) => row(nameOf(name), stats, colors));
  return [
    `${healthText(overview, colors)}\n`,
    textTable([HEAD, ...rows, row("all", total, colors)]),
    `${whyText(total)}${tookText(overview)}`,
  ].join("\n");
}

/** One line on how a cache and its tiers are. */
export function healthText({ cache, processes, memory, shared, gate, feed }: Overview, colors: Colors): string {
  const parts = [`${processes.length} ${processes.length === 1 ? "process" : "processes"}`];
  if (memory !== undefined)
    parts.push(`memory ${integer(memory.entries)} entries, ${bytes(memory.bytes)} of ${bytes(memory.maxBytes)}`);
  if (shared !== undefined) parts.push(`${shared.kind} ${shared.up ? colors.green("up") : colors.red("DOWN")}`);
  if (gate.queued > 0) parts.push(colors.yellow(`${integer(gate.queued)} loads wait`));
  if (feed !== undefined) {
    const { completeAgo } = feed;
    parts.push(
      `feed ${typeof completeAgo === "number" ? `complete ${span(completeAgo)} ago` : colors.red("not complete")}`,
    );
  }
  return `${colors.bold(cache)}: ${parts.join(", ")}`;
}

export function nameOf(entity: string): string {
  return entity === "" ? "(raw keys)" : plainText(entity);
}

/** Green from the four fifths that caches are asked for. */
export function ratioCell(ratio: number, reads: number, colors: Colors): TableCell {
  if (reads === 0) return { text: "–" };
  return { text: percent(ratio), paint: ratio >= 0.8 ? colors.green : colors.yellow };
}

function row(name: string, stats: ReadStats, colors: Colors): readonly (TableCell | string)[] {
  return [
    name,
    integer(stats.gets),
    ratioCell(stats.hitRatio, stats.gets, colors),
    integer(stats.staleHits),
    integer(stats.misses),
    integer(stats.loads),
    stats.loads === 0 ? "–" : milliseconds(stats.loadMilliseconds / stats.loads),
    { text: integer(stats.loadFailures), paint: stats.loadFailures > 0 ? colors.red : undefined },
    integer(stats.loadsShared),
  ];
}

function whyText({ missReasons, misses }: ReadStats): string {
  const reasons = Object.entries(missReasons).sort(([, a], [, b]) => b - a);
  if (reasons.length === 0) return "";
  return `misses: ${reasons.map(([reason, count]) => `${reason} ${integer(count)} (${percent(count / misses, 0)})`).join(", ")}\n`;
}

function tookText({ took }: Overview): string {
  const of = (name: string, counts: readonly number[]): string[] => {
    const [half, most] = [percentile(counts, 0.5), percentile(counts, 0.99)];
    return half === undefined || most === undefined
      ? []
      : [`${name} p50 ${milliseconds(half)}, p99 ${milliseconds(most)}`];
  };
  const parts = [...of("shared tier", took.shared), ...of("loads", took.loads)];
  return parts.length === 0 ? "" : `took: ${parts.join("; ")}\n`;
}
