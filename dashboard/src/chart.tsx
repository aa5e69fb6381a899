import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { theme } from "./state.js";

export interface Line {
  readonly name: string;
  /** A colour of the stylesheet. */
  readonly color: string;
  readonly values: readonly (number | null)[];
  readonly width?: number;
  readonly dash?: readonly number[];
}

interface ChartProps {
  readonly label: string;
  /** Seconds of the wall clock. */
  readonly at: readonly number[];
  readonly lines: readonly Line[];
  /** Whether the lines lie on top of one another. */
  readonly stacked?: boolean;
  readonly height?: number;
  readonly format: (value: number) => string;
  /** Where the scale ends; as far as the values go if not given. */
  readonly max?: number;
}

/** What lies between two marks of the time axis, in seconds: whole ones, as they are written. */
const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];

/** Lines, or areas on one another, over time. */
export function Chart(props: ChartProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const shape = `${props.lines.map(({ name }) => name).join()}|${props.stacked === true}|${props.max ?? ""}|${theme.value}`;

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const made = new uPlot(options(element, latest), dataOf(latest.current), element);
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: latest.current.height ?? 200 }),
    );
    resized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = (): void => made.redraw();
    dark.addEventListener("change", redraw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", redraw);
      made.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.at, props.lines]);

  const last = props.lines.map(({ name, values }) => `${name} ${describe(values.at(-1), props.format)}`).join(", ");
  return (
    <div
      class="chart"
      ref={place}
      role="img"
      aria-label={`${props.label}: ${last}`}
      style={{ height: `${props.height ?? 200}px` }}
    />
  );
}

function describe(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "none" : format(value);
}

function dataOf({ at, lines, stacked }: ChartProps): uPlot.AlignedData {
  if (stacked !== true) return [[...at], ...lines.map(({ values }) => [...values])] as uPlot.AlignedData;
  // The first line is at the bottom: each is drawn with all below it.
  const sums: number[][] = [];
  for (const [index, { values }] of lines.entries())
    sums.push(values.map((value, point) => (value ?? 0) + (index === 0 ? 0 : (sums[index - 1]?.[point] ?? 0))));
  return [[...at], ...sums];
}

function options(element: HTMLElement, latest: { current: ChartProps }): uPlot.Options {
  const { lines, stacked, max, height = 200 } = latest.current;
  // As it is in this theme: a canvas knows no variables.
  const color = (name: string): string => {
    element.style.color = `var(--${name})`;
    return getComputedStyle(element).color;
  };
  const axis: uPlot.Axis = {
    stroke: () => color("muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: () => color("grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height,
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
    scales: { x: { time: true }, y: { range: (_plot, _min, top) => [0, max ?? (top > 0 ? top * 1.12 : 1)] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 72,
        size: 26,
        incrs: TIMES,
        values: (_plot, ticks) => ticks.map(timeOf),
      },
      { ...axis, size: 54, space: 34, values: (_plot, ticks) => ticks.map((value) => latest.current.format(value)) },
    ],
    series: [
      {},
      ...lines.map(({ name, color: line, width, dash }): uPlot.Series => ({
        label: name,
        stroke: () => color(line),
        width: width ?? (stacked === true ? 1 : 1.75),
        points: { show: false },
        ...(dash && { dash: [...dash] }),
        ...(stacked === true && { fill: () => translucent(color(line)) }),
      })),
    ],
    ...(stacked === true && {
      // Filled down to the line below, not to the ground.
      bands: lines.slice(1).map((_, index): uPlot.Band => ({ series: [index + 2, index + 1] })),
    }),
    plugins: [tooltip(latest)],
  };
}

/** @param color as browsers compute it: rgb(1, 2, 3) */
function translucent(color: string): string {
  return color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.35)");
}

function timeOf(seconds: number): string {
  const date = new Date(seconds * 1_000);
  const pad = (n: number): string => String(n).padStart(2, "0");
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return date.getSeconds() === 0 ? text : `${text}:${pad(date.getSeconds())}`;
}

/** What the lines say where the pointer is. */
function tooltip(latest: { current: ChartProps }): uPlot.Plugin {
  let box: HTMLElement | undefined;
  return {
    hooks: {
      init(plot) {
        box = document.createElement("div");
        box.className = "tip";
        box.hidden = true;
        plot.over.append(box);
        plot.over.addEventListener("mouseleave", () => {
          if (box !== undefined) box.hidden = true;
        });
      },
      setCursor(plot) {
        const { idx, left } = plot.cursor;
        if (box === undefined || idx === null || idx === undefined || left === undefined || left < 0) return;
        const { at, lines, format } = latest.current;
        const time = at[idx];
        if (time === undefined) return;
        box.hidden = false;
        box.replaceChildren(
          row("tip-time", timeOf(time)),
          ...lines.toReversed().map((line) => row("", line.name, describe(line.values[idx], format), line.color)),
        );
        const { width } = plot.over.getBoundingClientRect();
        box.style.left = `${left > width / 2 ? left - box.offsetWidth - 12 : left + 12}px`;
      },
    },
  };
}

function row(kind: string, name: string, value?: string, color?: string): HTMLElement {
  const line = document.createElement("div");
  line.className = kind;
  if (color !== undefined) {
    const mark = document.createElement("i");
    mark.style.background = `var(--${color})`;
    line.append(mark);
  }
  line.append(name);
  if (value !== undefined) {
    const figure = document.createElement("b");
    figure.textContent = value;
    line.append(figure);
  }
  return line;
}
