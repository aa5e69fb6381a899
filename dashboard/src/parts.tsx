import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { visible } from "./format.js";
import { entryAddress } from "./state.js";

/** What screens are put together from. */

export function Panel(props: {
  readonly title: string;
  readonly hint?: string | undefined;
  readonly aside?: ComponentChildren;
  readonly flush?: boolean;
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class={`panel ${props.class ?? ""}`}>
      <header class="panel-head">
        <h2>{props.title}</h2>
        {props.hint !== undefined && <span class="hint">{props.hint}</span>}
        {props.aside !== undefined && <div class="aside">{props.aside}</div>}
      </header>
      <div class={props.flush === true ? "panel-body flush" : "panel-body"}>{props.children}</div>
    </section>
  );
}

export function Stat(props: {
  readonly label: string;
  readonly value: string;
  readonly sub?: ComponentChildren;
  readonly tone?: "good" | "warn" | "bad" | undefined;
  readonly title?: string;
}): JSX.Element {
  return (
    <div class="stat" title={props.title}>
      <div class="stat-label">{props.label}</div>
      <div class={`stat-value ${props.tone ?? ""}`}>{props.value}</div>
      <div class="stat-sub">{props.sub ?? " "}</div>
    </div>
  );
}

/** Says what to do next where there is nothing to show. */
export function Empty(props: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      <div class="empty-text">{props.children}</div>
    </div>
  );
}

export function Code(props: { readonly children: string }): JSX.Element {
  return <pre class="code">{props.children}</pre>;
}

/** A key, as a link to everything that is known of it. */
export function KeyLink(props: { readonly path: string }): JSX.Element {
  return (
    <a class="key" href={entryAddress(props.path)} title={visible(props.path)}>
      <Segments path={props.path} />
    </a>
  );
}

/** A path whose separators step back behind what they separate. */
export function Segments(props: { readonly path: string }): JSX.Element {
  const parts = props.path.split(":");
  return (
    <>
      {parts.map((part, at) => (
        <>
          {at > 0 && <i>:</i>}
          <bdi>{visible(part)}</bdi>
        </>
      ))}
    </>
  );
}

export function EntityName(props: { readonly name: string }): JSX.Element {
  return props.name === "" ? <span class="muted">raw keys</span> : <bdi>{visible(props.name)}</bdi>;
}

export interface Share {
  readonly name: string;
  readonly value: number;
  readonly color: string;
}

/** Parts of a whole, on one line. */
export function StackedBar(props: { readonly shares: readonly Share[]; readonly label: string }): JSX.Element {
  const total = props.shares.reduce((sum, { value }) => sum + value, 0);
  return (
    <div class="stacked" role="img" aria-label={props.label} title={props.label}>
      {total > 0 &&
        props.shares.map(({ name, value, color }) => (
          <span key={name} style={{ width: `${(100 * value) / total}%`, background: `var(--${color})` }} />
        ))}
    </div>
  );
}

export function Meter(props: { readonly share: number; readonly color?: string; readonly label: string }): JSX.Element {
  const share = Math.max(0, Math.min(1, Number.isFinite(props.share) ? props.share : 0));
  return (
    <div class="meter" role="img" aria-label={props.label} title={props.label}>
      <span style={{ width: `${100 * share}%`, background: `var(--${props.color ?? "accent"})` }} />
    </div>
  );
}

export function Legend(props: {
  readonly items: readonly { readonly name: string; readonly color: string; readonly value?: string }[];
}): JSX.Element {
  return (
    <div class="legend">
      {props.items.map(({ name, color, value }) => (
        <span key={name}>
          <i style={{ background: `var(--${color})` }} />
          {name}
          {value !== undefined && <b>{value}</b>}
        </span>
      ))}
    </div>
  );
}

export function Dot(props: { readonly tone: "good" | "warn" | "bad" | "idle"; readonly label?: string }): JSX.Element {
  return (
    <i class={`dot ${props.tone}`} role={props.label === undefined ? "presentation" : "img"} aria-label={props.label} />
  );
}

export function Segmented<T extends string>(props: {
  readonly label: string;
  readonly options: readonly (readonly [value: T, name: string])[];
  readonly value: T;
  readonly onChange: (value: T) => void;
}): JSX.Element {
  return (
    <div class="segmented" role="radiogroup" aria-label={props.label}>
      {props.options.map(([value, name]) => (
        <button
          key={value}
          type="button"
          role="radio"
          aria-checked={value === props.value}
          class={value === props.value ? "on" : ""}
          onClick={() => props.onChange(value)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

/** A line without axes: how something went. */
export function Sparkline(props: {
  readonly values: readonly number[];
  readonly color: string;
  readonly label: string;
  readonly max?: number;
}): JSX.Element {
  const width = 96;
  const height = 20;
  const { values } = props;
  const max = props.max ?? Math.max(1e-9, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : width;
  const points = values.map(
    (value, at) => `${(at * step).toFixed(1)},${(height - 1 - (height - 2) * Math.min(1, value / max)).toFixed(1)}`,
  );
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={props.label}
      preserveAspectRatio="none"
    >
      {points.length > 1 && (
        <>
          <polygon
            points={`0,${height} ${points.join(" ")} ${width},${height}`}
            fill={`var(--${props.color})`}
            opacity="0.14"
          />
          <polyline
            points={points.join(" ")}
            fill="none"
            stroke={`var(--${props.color})`}
            stroke-width="1.4"
            vector-effect="non-scaling-stroke"
          />
        </>
      )}
    </svg>
  );
}

export interface Column<T> {
  readonly name: string;
  readonly title?: string;
  readonly right?: boolean;
  readonly class?: string;
  readonly cell: (row: T) => ComponentChildren;
  /** What it is sorted by, the largest first; none means that it is not. */
  readonly sort?: (row: T) => number | string;
}

export function Table<T>(props: {
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly label: string;
  readonly onPick?: (row: T) => void;
  readonly picked?: string | undefined;
}): JSX.Element {
  const [by, setBy] = useState<{ name: string; down: boolean } | undefined>(undefined);
  const column = props.columns.find(({ name }) => name === by?.name);
  const rows = column?.sort === undefined ? props.rows : sorted(props.rows, column.sort, by?.down === true);
  return (
    <div class="table-wrap">
      <table aria-label={props.label}>
        <thead>
          <tr>
            {props.columns.map(({ name, right, sort, title, class: extra }) => (
              <th
                key={name}
                class={`${right === true ? "right" : ""} ${extra ?? ""}`}
                title={title}
                aria-sort={orderOf(by, name)}
              >
                {sort === undefined ? (
                  name
                ) : (
                  <button type="button" onClick={() => setBy({ name, down: by?.name === name ? !by.down : true })}>
                    {name}
                    <span class="arrow">{arrow(by, name)}</span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = props.keyOf(row);
            const pick = props.onPick;
            return (
              <tr
                key={key}
                class={`${pick === undefined ? "" : "pickable"} ${props.picked === key ? "picked" : ""}`}
                tabIndex={pick === undefined ? undefined : 0}
                onClick={pick && (() => pick(row))}
                onKeyDown={
                  pick &&
                  ((event) => {
                    if (event.key === "Enter" || event.key === " ") {
                      event.preventDefault();
                      pick(row);
                    }
                  })
                }
              >
                {props.columns.map(({ name, right, cell, class: extra }) => (
                  <td key={name} class={`${right === true ? "right" : ""} ${extra ?? ""}`}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function orderOf(
  by: { name: string; down: boolean } | undefined,
  name: string,
): "ascending" | "descending" | undefined {
  if (by?.name !== name) return undefined;
  return by.down ? "descending" : "ascending";
}

function arrow(by: { name: string; down: boolean } | undefined, name: string): string {
  if (by?.name !== name) return "";
  return by.down ? "↓" : "↑";
}

function sorted<T>(rows: readonly T[], of: (row: T) => number | string, down: boolean): readonly T[] {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = of(a);
    const y = of(b);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}
