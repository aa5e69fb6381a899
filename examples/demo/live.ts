import type { Second } from "./phase.js";
import { formatTable, hitRatios, milliseconds, percent, whole } from "./summary.js";

/** Where the demo shows what it is doing: stderr, so that stdout holds the result alone. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const CLEAR_LINE = "\u001b[2K";

/** What happens, as it happens: redrawn in place on a terminal, else a line each time. */
export class LiveView {
  readonly #screen: Screen;
  /** Lines drawn that the next drawing goes over. */
  #drawn = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** A line that stays. */
  say(line: string): void {
    this.#draw([line]);
    this.#drawn = 0;
  }

  /** A line that the next one replaces; only on a terminal. */
  progress(line: string): void {
    if (this.#screen.isTTY === true) {
      this.#draw([line]);
    }
  }

  /** The figures of the last second. */
  second(phase: string, second: Second): void {
    const figures = figuresOf(second);
    if (this.#screen.isTTY === true) {
      this.#draw(formatTable([[`${phase}, ${second.at.toFixed(0)} s`, ""], ...figures]).split("\n"));
    } else {
      this.say(`${phase} ${second.at.toFixed(0)} s: ${figures.map(([name, value]) => `${name} ${value}`).join(" | ")}`);
    }
  }

  /** What was drawn last stays. */
  keep(): void {
    this.#drawn = 0;
  }

  #draw(lines: readonly string[]): void {
    const up = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A\r`;
    const clear = this.#screen.isTTY === true ? CLEAR_LINE : "";
    // Lines of a taller drawing before this one.
    const rest = Math.max(0, this.#drawn - lines.length);
    const blank = rest === 0 ? "" : `${`${CLEAR_LINE}\n`.repeat(rest)}\u001b[${rest}A`;
    this.#screen.write(`${up}${lines.map((line) => `${clear}${line}\n`).join("")}${blank}`);
    this.#drawn = lines.length;
  }
}

function figuresOf({ latency, seconds, counters, stale, errors }: Second): [string, string][] {
  const ratios = hitRatios(counters);
  return [
    ["requests/s", whole(latency.count / seconds)],
    ["memory hits", percent(ratios.memory)],
    ["shared hits", percent(ratios.shared)],
    ["source queries/s", whole(counters.sourceQueries / seconds)],
    ["p50", milliseconds(latency.percentile(0.5))],
    ["p95", milliseconds(latency.percentile(0.95))],
    ["p99", milliseconds(latency.percentile(0.99))],
    ["coalesced/s", whole(counters.coalesced / seconds)],
    ["stale", `${whole(stale.stale)} of ${whole(stale.checked)}`],
    ["errors", whole(errors)],
  ];
}
