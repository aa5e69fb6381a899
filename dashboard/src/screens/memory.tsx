import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Overview } from "../../../src/admin/merge.js";
import type { MemoryShare } from "../../../src/inspect/memory-census.js";
import type { CurvePoint } from "../../../src/tiers/memory/policy.js";
import { bytes, number, percent, rate } from "../format.js";
import { Code, Empty, EntityName, Meter, Panel, Stat, Table, type Column } from "../parts.js";
import { history, ids, overview, everyTick } from "../state.js";

export function MemoryScreen(): JSX.Element | null {
  const now = overview.value;
  if (now === undefined) return null;
  const held = now.memory;
  if (held === undefined) {
    return (
      <Panel title="No memory tier">
        <Empty title="Every read goes to the shared tier">
          <p>A memory tier before it answers hot keys without a round trip:</p>
          <Code>{'createCache({ tiers: [memory({ maxBytes: "64mb" }), redis(client)] })'}</Code>
        </Empty>
      </Panel>
    );
  }
  return (
    <>
      <div class="stats">
        <Stat label="Entries" value={number(held.entries)} sub={`of ${number(held.maxEntries)}`} />
        <Stat
          label="Bytes"
          value={bytes(held.bytes)}
          sub={`${percent(held.bytes / held.maxBytes)} of ${bytes(held.maxBytes)}`}
        />
        <Stat label="Evicted" value={number(held.evicted)} sub="to make room" />
        <Stat label="Expired" value={number(held.expired)} sub="their time was over" />
        <Stat label="Refused" value={number(held.refused)} sub="on arrival" />
        <Stat label="Window" value={percent(held.windowShare, 0)} sub="of it for newcomers" />
      </div>
      <Shares now={now} />
      <Curve now={now} curve={held.curve} />
    </>
  );
}

function Shares(props: { readonly now: Overview }): JSX.Element {
  const census = props.now.sampled?.memory;
  const total = census?.entities.reduce((sum, share) => sum + share.bytes, 0) ?? 0;
  const columns: Column<MemoryShare>[] = [
    { name: "Entity", cell: ({ entity }) => <EntityName name={entity} />, sort: ({ entity }) => entity },
    { name: "Entries", right: true, cell: ({ entries }) => number(entries), sort: ({ entries }) => entries },
    { name: "Bytes", right: true, cell: ({ bytes: size }) => bytes(size), sort: ({ bytes: size }) => size },
    {
      name: "",
      class: "wide bar-cell",
      cell: ({ entity, bytes: size }) => (
        <Meter share={size / total} label={`${entity}: ${percent(size / total)} of memory`} />
      ),
    },
    {
      name: "Each",
      right: true,
      cell: ({ bytes: size, entries }) => bytes(size / Math.max(1, entries)),
      sort: ({ bytes: size, entries }) => size / Math.max(1, entries),
    },
    { name: "Frees in 1 min", right: true, cell: ({ frees }) => bytes(frees[0]), sort: ({ frees }) => frees[0] },
    { name: "5 min", right: true, cell: ({ frees }) => bytes(frees[1]), sort: ({ frees }) => frees[1] },
    { name: "60 min", right: true, cell: ({ frees }) => bytes(frees[2]), sort: ({ frees }) => frees[2] },
  ];
  return (
    <Panel
      title="By entity"
      hint={
        census === undefined
          ? "counting"
          : `${number(census.examined)} entries looked at${census.complete ? "" : ", not all"}; counted every ten seconds`
      }
      flush
    >
      {census === undefined || census.entities.length === 0 ? (
        <Empty title={census === undefined ? "Being counted" : "Memory is empty"}>
          <p>
            {census === undefined
              ? "Entries are counted a few at a time, while reads go on."
              : "What is read next shows here."}
          </p>
        </Empty>
      ) : (
        <Table label="Memory by entity" columns={columns} rows={census.entities} keyOf={({ entity }) => entity} />
      )}
    </Panel>
  );
}

const HEIGHT = 240;
const PAD = { left: 46, right: 14, top: 12, bottom: 30 };

function Curve(props: { readonly now: Overview; readonly curve: readonly CurvePoint[] }): JSX.Element {
  const [at, setAt] = useState(0);
  everyTick();
  const { curve, now } = props;
  const { memory: held } = now;
  // Both bounds are scaled; the one that binds is the one to name.
  const isByEntries = held !== undefined && held.entries / held.maxEntries > held.bytes / held.maxBytes;
  const sizeText = (size: number): string =>
    isByEntries ? `${number(size * held.maxEntries)} entries` : bytes(size * (held?.maxBytes ?? 0));
  if (curve.length < 2) {
    return (
      <Panel title="What if memory were larger?">
        <Empty title="Not enough was read to tell">
          <p>
            The curve comes from small shadows of the cache at a quarter, half, twice and four times its size, on a
            sample of the keys. It shows when a few thousand reads have passed, and the cache is full enough for its
            size to matter.
          </p>
        </Empty>
      </Panel>
    );
  }
  const capacity = 2 ** at;
  const ratio = along(curve, capacity);
  const today = along(curve, 1);
  const recent = history.recent(ids.value, undefined, now.at, 30);
  const change = (ratio - today) * recent.gets;
  // As wide as it is shown, about: its text is scaled with it.
  const width = innerWidth < 760 ? 420 : 900;
  const misses = curve.map(({ hitRatio }) => 1 - hitRatio);
  const lowest = Math.min(0.8, Math.floor(Math.min(...misses) * 20) / 20);
  const highest = Math.min(1, lowest + Math.max(0.2, Math.ceil((Math.max(...misses) - lowest) * 5) / 5));
  const x = (size: number): number => PAD.left + ((Math.log2(size) + 2) / 4) * (width - PAD.left - PAD.right);
  const y = (miss: number): number =>
    PAD.top + (1 - (miss - lowest) / (highest - lowest)) * (HEIGHT - PAD.top - PAD.bottom);
  const line = curve
    .map(({ capacity: size, hitRatio }) => `${x(size).toFixed(1)},${y(1 - hitRatio).toFixed(1)}`)
    .join(" ");
  return (
    <Panel title="What if memory were larger?" hint="miss ratio by size, estimated from a sample of the keys">
      <div class="curve">
        <svg
          viewBox={`0 0 ${width} ${HEIGHT}`}
          role="img"
          aria-label={`Miss ratio ${percent(1 - today)} today, ${percent(1 - ratio)} with ${sizeText(capacity)}`}
        >
          {[0, 0.25, 0.5, 0.75, 1].map((part) => {
            const miss = lowest + part * (highest - lowest);
            return (
              <g key={part}>
                <line x1={PAD.left} x2={width - PAD.right} y1={y(miss)} y2={y(miss)} class="gridline" />
                <text x={PAD.left - 8} y={y(miss) + 4} text-anchor="end">
                  {percent(miss, 0)}
                </text>
              </g>
            );
          })}
          {curve
            .filter((_, index) => width > 500 || index % 2 === 0)
            .map(({ capacity: size }) => (
              <text key={size} x={x(size)} y={HEIGHT - 8} text-anchor={anchorOf(size)}>
                {sizeText(size)}
              </text>
            ))}
          <polygon points={`${x(0.25)},${y(lowest)} ${line} ${x(4)},${y(lowest)}`} class="curve-area" />
          <polyline points={line} class="curve-line" />
          <line x1={x(1)} x2={x(1)} y1={PAD.top} y2={HEIGHT - PAD.bottom} class="today" />
          <text x={x(1) + 6} y={PAD.top + 8}>
            today
          </text>
          <circle cx={x(capacity)} cy={y(1 - ratio)} r="5" class="curve-dot" />
        </svg>
        <div class="what-if">
          <label for="what-if">
            With <b>{sizeText(capacity)}</b>{" "}
            {capacity === 1
              ? "(as it is)"
              : `(${capacity < 1 ? `1/${number(1 / capacity)}` : `${number(capacity)}×`} of today)`}
          </label>
          <input
            id="what-if"
            type="range"
            min={-2}
            max={2}
            step={0.25}
            value={at}
            onInput={(event) => setAt(Number(event.currentTarget.value))}
          />
          <dl class="facts">
            <dt>Hit ratio of memory</dt>
            <dd>{percent(ratio)}</dd>
            <dt>Misses of memory</dt>
            <dd>{percent(1 - ratio)}</dd>
            <dt>{change >= 0 ? "Reads more from memory" : "Reads fewer from memory"}</dt>
            <dd>{rate(Math.abs(change))}</dd>
          </dl>
        </div>
      </div>
    </Panel>
  );
}

/** The first and the last one stay inside. */
function anchorOf(size: number): "start" | "middle" | "end" {
  if (size < 0.5) return "start";
  return size > 2 ? "end" : "middle";
}

/** Between the points that are told, straight on the log of the size. */
function along(curve: readonly CurvePoint[], capacity: number): number {
  for (let i = 1; i < curve.length; i += 1) {
    const a = curve[i - 1];
    const b = curve[i];
    if (a === undefined || b === undefined || capacity > b.capacity) continue;
    const part = Math.log2(capacity / a.capacity) / Math.log2(b.capacity / a.capacity);
    return a.hitRatio + Math.max(0, Math.min(1, part)) * (b.hitRatio - a.hitRatio);
  }
  return curve.at(-1)?.hitRatio ?? 0;
}
