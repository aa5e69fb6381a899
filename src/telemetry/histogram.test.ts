import { describe, expect, it } from "vitest";

import { exposition } from "./exposition.js";
import { Histogram } from "./histogram.js";

describe("a histogram", () => {
  it("counts a value that equals a bound below it, and each bucket those before it", () => {
    const histogram = new Histogram("h", [1, 5]);
    for (const value of [0.5, 1, 1.1, 5, 6]) histogram.observe({ a: "x" }, value);
    histogram.observe({ a: "y" }, 2);
    expect(
      histogram.samples().map(({ metricName, labels, value }) => [metricName, labels["a"], labels["le"], value]),
    ).toEqual([
      ["h_bucket", "x", "1", 2],
      ["h_bucket", "x", "5", 4],
      ["h_bucket", "x", "+Inf", 5],
      ["h_sum", "x", undefined, 13.6],
      ["h_count", "x", undefined, 5],
      ["h_bucket", "y", "1", 0],
      ["h_bucket", "y", "5", 1],
      ["h_bucket", "y", "+Inf", 1],
      ["h_sum", "y", undefined, 2],
      ["h_count", "y", undefined, 1],
    ]);
  });
});

describe("the text format", () => {
  it("escapes what would end a label, and writes infinity as Prometheus does", () => {
    const values = [
      { labels: { name: 'a "quoted" \\ name\nof two lines' }, value: Number.POSITIVE_INFINITY },
      { labels: {}, value: 1.5 },
    ];
    expect(exposition([{ name: "m", help: "some\nhelp", type: "gauge", values }])).toBe(
      '# HELP m some\\nhelp\n# TYPE m gauge\nm{name="a \\"quoted\\" \\\\ name\\nof two lines"} +Inf\nm 1.5\n',
    );
  });
});
