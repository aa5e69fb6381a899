import { expect, it } from "vitest";
import { Histogram } from "./histogram.js";
import { LiveView, type Screen } from "./live.js";
import { NO_COUNTERS } from "./messages.js";
import type { Second } from "./phase.js";

function second(at: number): Second {
  const latency = new Histogram();
  latency.record(2);
  latency.record(4);
  return {
    at,
    seconds: 1,
    latency,
    counters: { ...NO_COUNTERS, gets: 10, memoryHits: 9, misses: 1, sourceQueries: 3 },
    stale: {
      checked: 8,
      stale: 1,
      explained: { outOfBand: 1, withinBound: 0 },
      unexplained: 0,
      largestStalenessMs: 5,
      largestByWriterMs: { api: 0, "out-of-band": 5 },
      examples: [],
    },
    errors: 0,
  };
}

/** What a terminal shows after these writes: cursor up, carriage return, clear line and newline are all it knows. */
class FakeTerminal implements Screen {
  readonly isTTY = true;
  readonly lines: string[] = [""];
  #row = 0;

  write(text: string): void {
    for (const part of text.split(/(\u001b\[\d*[AK]|\r|\n)/)) {
      if (part === "\n") {
        this.#row += 1;
        this.lines[this.#row] ??= "";
      } else if (part.startsWith("\u001b[") && part.endsWith("A")) {
        this.#row -= Number(part.slice(2, -1));
      } else if (part === "\u001b[2K") {
        this.lines[this.#row] = "";
      } else if (part !== "\r" && part !== "") {
        this.lines[this.#row] += part;
      }
    }
  }
}

it("writes a line a second where there is no terminal, and no progress", () => {
  let written = "";
  const view = new LiveView({ write: (text) => (written += text) });
  view.say("started");
  view.progress("half way");
  view.second("with the cache", second(1));
  view.second("with the cache", second(2));
  const lines = written.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(
    /^with the cache 1 s: requests\/s 2 \| memory hits 90\.0 % \| .*source queries\/s 3 \| .*stale 1 of 8 \| errors 0$/,
  );
  expect(written).not.toContain("\u001b");
});

it("redraws in place on a terminal, and keeps what is said", () => {
  const terminal = new FakeTerminal();
  const view = new LiveView(terminal);
  view.say("started");
  view.progress("10 of 20");
  view.progress("20 of 20");
  view.say("filled");
  view.second("without", second(1));
  const height = terminal.lines.length;
  view.second("without", second(2));
  expect(terminal.lines).toHaveLength(height);
  expect(terminal.lines.slice(0, 3)).toEqual(["started", "filled", "without, 2 s"]);
  expect(terminal.lines.filter((line) => line.startsWith("requests/s"))).toHaveLength(1);
  view.keep();
  view.second("with", second(1));
  expect(terminal.lines.filter((line) => line.startsWith("requests/s"))).toHaveLength(2);
});

it("leaves nothing of a taller drawing under a shorter one", () => {
  const terminal = new FakeTerminal();
  const view = new LiveView(terminal);
  view.second("without", second(1));
  view.say("stopped");
  view.say("cleaned");
  expect(terminal.lines.filter((line) => line !== "")).toEqual(["stopped", "cleaned"]);
});
