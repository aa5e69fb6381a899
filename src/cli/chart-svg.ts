/** A line of a chart. */
export interface ChartLine {
  readonly name: string;
  /** From the smallest x to the largest; x is above 0. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** What is marked on it. */
  readonly marks: readonly { readonly x: number; readonly y: number }[];
  readonly isDashed?: boolean | undefined;
}

export interface Chart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly lines: readonly ChartLine[];
  /** Round values for the x axis, some of which may lie outside. */
  readonly xTicks: (least: number, most: number) => readonly number[];
  /** A value of the x axis as it is printed. */
  readonly xLabel: (x: number) => string;
}

const WIDTH = 860;
const HEIGHT = 460;
const LEFT = 64;
const RIGHT = 160;
const TOP = 48;
const BOTTOM = 56;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT = HEIGHT - TOP - BOTTOM;
const LEGEND_LINE = 20;
const MOST_BINARY_TICKS = 8;

/** Told apart by those who see colours differently too (after Okabe, Ito), on white and on nearly black. */
const COLORS = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#8a6fdf",
  "#7f7f00",
  "#b0413e",
  "#888888",
];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .ground { fill: #ffffff; }
  .grid { stroke: #d8dee4; stroke-width: 1; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .grid { stroke: #30363d; }
  }
`;

/** A chart as an SVG file: x on a logarithmic scale, y as a percentage from 0 up. It is readable on light and dark ground. */
export function chartSvg(chart: Chart): string {
  const xs = chart.lines.flatMap(({ points }) => points.map(({ x }) => x));
  const ys = chart.lines.flatMap(({ points }) => points.map(({ y }) => y));
  const x = logarithmic(Math.min(...xs), Math.max(...xs));
  const top = Math.min(1, Math.max(0.1, Math.ceil(Math.max(0, ...ys) * 10) / 10));
  const y = (value: number): number => TOP + PLOT_HEIGHT * (1 - value / top);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escaped(chart.title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>`,
    `<text class="title" x="${LEFT}" y="26">${escaped(chart.title)}</text>`,
    ...yAxis(top, y),
    ...xAxis(chart, Math.min(...xs), Math.max(...xs), x),
    `<text x="${LEFT + PLOT_WIDTH / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(chart.xTitle)}</text>`,
    `<text transform="translate(16 ${TOP + PLOT_HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escaped(chart.yTitle)}</text>`,
    ...chart.lines.map((line, at) => drawn(line, colorOf(at), x, y)),
    ...legend(chart.lines),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

function logarithmic(least: number, most: number): (x: number) => number {
  const span = Math.log(most / least);
  return (x) => LEFT + (span === 0 ? PLOT_WIDTH / 2 : (PLOT_WIDTH * Math.log(x / least)) / span);
}

function yAxis(top: number, y: (value: number) => number): readonly string[] {
  const step = top > 0.5 ? 0.2 : 0.1;
  const ticks = Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, at) => at * step);
  return ticks.flatMap((tick) => [
    `<line class="grid" x1="${LEFT}" x2="${LEFT + PLOT_WIDTH}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}"/>`,
    `<text x="${LEFT - 8}" y="${fixed(y(tick) + 4)}" text-anchor="end">${Math.round(tick * 100)}%</text>`,
  ]);
}

/** Powers of ten, with 2 and 5 times them where they are few. */
export function decimalTicks(least: number, most: number): readonly number[] {
  const factors = Math.log10(most / least) > 4 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power += 1) {
    ticks.push(...factors.map((factor) => factor * 10 ** power));
  }
  return ticks;
}

/** Powers of two, as sizes in bytes are counted: every one, or fewer where they would be many. */
export function binaryTicks(least: number, most: number): readonly number[] {
  const step = Math.max(1, Math.ceil(Math.log2(most / least) / MOST_BINARY_TICKS));
  const first = Math.ceil(Math.log2(least) / step) * step;
  return Array.from({ length: MOST_BINARY_TICKS + 1 }, (_, at) => 2 ** (first + at * step));
}

function xAxis(
  { xTicks, xLabel }: Chart,
  least: number,
  most: number,
  x: (value: number) => number,
): readonly string[] {
  const within = xTicks(least, most).filter((tick) => tick >= least * 0.999 && tick <= most * 1.001);
  const ticks = within.length === 0 ? [least] : within;
  return ticks.flatMap((tick) => [
    `<line class="grid" x1="${fixed(x(tick))}" x2="${fixed(x(tick))}" y1="${TOP}" y2="${TOP + PLOT_HEIGHT}"/>`,
    `<text x="${fixed(x(tick))}" y="${TOP + PLOT_HEIGHT + 18}" text-anchor="middle">${escaped(xLabel(tick))}</text>`,
  ]);
}

function drawn(line: ChartLine, color: string, x: (value: number) => number, y: (value: number) => number): string {
  const placeOf = (point: { readonly x: number; readonly y: number }): readonly [string, string] => [
    fixed(x(point.x)),
    fixed(y(point.y)),
  ];
  const dash = line.isDashed === true ? ' stroke-dasharray="6 4"' : "";
  const places = line.points.map((point) => placeOf(point).join(","));
  const marks = line.marks
    .map(placeOf)
    .map(([left, top]) => `<circle cx="${left}" cy="${top}" r="3" fill="${color}"/>`);
  return [`<polyline class="line" stroke="${color}"${dash} points="${places.join(" ")}"/>`, ...marks].join("\n");
}

/** In the order in which the lines end, so that it reads as the picture does. */
function legend(lines: readonly ChartLine[]): readonly string[] {
  const last = (line: ChartLine): number => line.points.at(-1)?.y ?? 0;
  const ordered = lines.map((line, at) => ({ line, at })).toSorted((a, b) => last(b.line) - last(a.line));
  return ordered.flatMap(({ line, at }, row) => {
    const top = TOP + 10 + row * LEGEND_LINE;
    const left = LEFT + PLOT_WIDTH + 16;
    const dash = line.isDashed === true ? ' stroke-dasharray="6 4"' : "";
    return [
      `<line class="line" stroke="${colorOf(at)}"${dash} x1="${left}" x2="${left + 22}" y1="${top}" y2="${top}"/>`,
      `<text x="${left + 30}" y="${top + 4}">${escaped(line.name)}</text>`,
    ];
  });
}

function colorOf(at: number): string {
  return COLORS[at % COLORS.length] as string;
}

function fixed(value: number): string {
  return String(Number(value.toFixed(1)));
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
