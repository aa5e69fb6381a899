import { describe, expect, it } from "vitest";
import { binaryTicks, chartSvg, decimalTicks, type ChartLine } from "./chart-svg.js";

const line = (name: string, ys: readonly number[]): ChartLine => {
  const points = ys.map((y, at) => ({ x: 10 ** (at + 1), y }));
  return { name, points, marks: points };
};

const draw = (lines: readonly ChartLine[], title = "trace"): string =>
  chartSvg({ title, xTitle: "entries", yTitle: "hit ratio", lines, xTicks: decimalTicks, xLabel: String });

function polyline(svg: string, at: number): number[][] {
  const found = [...svg.matchAll(/<polyline[^>]* points="([^"]*)"/g)][at]?.[1] ?? "";
  return found.split(" ").map((place) => place.split(",").map(Number));
}

/** Every element is closed by its own end, and no text stands that would be markup. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [tag, close, name, rest] of svg.matchAll(/<(\/?)([a-z]+)((?:\s+[\w-]+="[^"<]*")*)\s*\/?>/gi)) {
    if (close === "/") expect(open.pop()).toBe(name);
    else if (!tag.endsWith("/>")) open.push(name as string);
    expect(rest).not.toContain("&;");
  }
  expect(open).toEqual([]);
  const text = svg.replaceAll(/<(\/?)([a-z]+)((?:\s+[\w-]+="[^"<]*")*)\s*\/?>/gi, "");
  expect(text).not.toMatch(/[<]|&(?!(?:amp|lt|gt|quot);)/);
}

describe("a chart", () => {
  it("is well-formed, whatever the trace is called", () => {
    expectWellFormed(draw([line("lru", [0.1, 0.5]), line('a<b & "c"', [0.2, 0.3])], "R&D <script>.txt"));
  });

  it("puts equal factors in size at equal distances, and larger ratios higher", () => {
    const places = polyline(draw([line("lru", [0.1, 0.2, 0.4])]), 0);
    const [[x0 = 0, y0 = 0] = [], [x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []] = places;

    expect(x2 - x1).toBeCloseTo(x1 - x0, 0);
    expect((y0 - y1) * 2).toBeCloseTo(y1 - y2, 0);
  });

  it("keeps every line within its frame, to a ratio of 1", () => {
    for (const [x = 0, y = 0] of polyline(draw([line("lru", [0, 0.5, 1])]), 0)) {
      expect(x).toBeGreaterThanOrEqual(64);
      expect(x).toBeLessThanOrEqual(700);
      expect(y).toBeGreaterThanOrEqual(48);
      expect(y).toBeLessThanOrEqual(404);
    }
  });

  it("names the lines in the order in which they end", () => {
    const svg = draw([line("low", [0.5, 0.1]), line("high", [0.1, 0.9])]);
    const names = [...svg.matchAll(/>(low|high)</g)].map(([, name]) => name);

    expect(names).toEqual(["high", "low"]);
  });

  it("says in its own style what it looks like on dark ground", () => {
    expect(draw([line("lru", [0.5])])).toContain("prefers-color-scheme: dark");
  });

  it("has round sizes on its axis", () => {
    expect(decimalTicks(20, 400)).toEqual(expect.arrayContaining([20, 50, 100, 200]));
    expect(decimalTicks(1, 1e6)).toEqual([1, 10, 100, 1e3, 1e4, 1e5, 1e6]);
    expect(binaryTicks(60_000, 1_100_000).slice(0, 3)).toEqual([65_536, 131_072, 262_144]);
    expect(binaryTicks(2 ** 10, 2 ** 40).filter((tick) => tick <= 2 ** 40).length).toBeLessThanOrEqual(9);
  });

  it("draws a single point, and one at 0", () => {
    const svg = draw([line("lru", [0])]);

    expectWellFormed(svg);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
