import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Told } from "../../../src/admin/merge.js";
import type { Note } from "../../../src/admin/report.js";
import { clock, duration, number, visible } from "../format.js";
import { Empty, Panel, Segmented, Stat, Table, type Column } from "../parts.js";
import { cache, entryAddress, overview } from "../state.js";

type Heard = Told<Note> & { readonly invalidation: NonNullable<Note["invalidation"]> };

/** One record of the log, and who has told of it. */
interface Row {
  readonly first: Heard;
  /** Where it was made, if that process reports. */
  readonly madeBy: string | undefined;
  readonly heardBy: number;
  /** Of the process that heard of it last. */
  readonly slowest: number | undefined;
}

export function InvalidationsScreen(): JSX.Element | null {
  const now = overview.value;
  const [origin, setOrigin] = useState<"all" | "own" | "other">("all");
  if (now === undefined) return null;
  const heard = now.notes.filter((note): note is Heard => note.invalidation !== undefined);
  const rows = together(heard).filter(
    ({ madeBy }) => origin === "all" || (origin === "own") === (madeBy !== undefined),
  );
  const delays = heard
    .flatMap(({ invalidation }) => (typeof invalidation.delay === "number" ? [invalidation.delay] : []))
    .sort((a, b) => a - b);
  const at = (share: number): number | undefined =>
    delays[Math.min(delays.length - 1, Math.floor(delays.length * share))];
  return (
    <>
      <div class="stats">
        <Stat label="Made here" value={number(now.invalidations.own)} sub="acknowledged" />
        <Stat label="Heard of others" value={number(now.invalidations.other)} sub="applied" />
        <Stat
          label="Propagation, p50"
          value={duration(at(0.5))}
          sub="from the log to a process"
          title="From the position, which is the shared tier’s time, to its application; the difference of the two clocks is in it"
        />
        <Stat label="Propagation, p99" value={duration(at(0.99))} sub={`of the last ${number(delays.length)}`} />
        <Stat
          label="Waiting to be sent"
          value={number(now.shared?.unsent ?? 0)}
          tone={(now.shared?.unsent ?? 0) > 0 ? "bad" : undefined}
          sub={now.shared === undefined ? "no shared tier" : "kept until acknowledged"}
        />
        <Stat label="Gaps in the log" value={number(now.shared?.gaps ?? 0)} sub="memory checked again" />
      </div>
      <Panel
        title="Stream"
        hint="newest first"
        flush
        aside={
          <Segmented
            label="Whose"
            options={[
              ["all", "All"],
              ["own", "Made here"],
              ["other", "Heard"],
            ]}
            value={origin}
            onChange={setOrigin}
          />
        }
      >
        {rows.length === 0 ? (
          <Quiet />
        ) : (
          <Table
            label="Invalidations"
            columns={COLUMNS}
            rows={rows.slice(0, 200)}
            keyOf={({ first }) => String(first.invalidation.position)}
          />
        )}
      </Panel>
    </>
  );
}

function Quiet(): JSX.Element {
  return (
    <Empty title="Nothing was invalidated since this process began">
      <p>
        A write should say what it makes outdated: <code>cache.invalidate({'{ tag: "project:7" }'})</code>, or an
        entity’s <code>invalidate(id)</code>.
        {cache.value?.tiers.shared === null && " Without a shared tier no other process hears of it."}
      </p>
    </Empty>
  );
}

/** By position: what one process makes, the others hear of. */
function together(heard: readonly Heard[]): readonly Row[] {
  const rows = new Map<number, Row>();
  for (const note of heard) {
    const { position, origin, delay } = note.invalidation;
    const known = rows.get(position);
    const isOwn = origin === "own";
    rows.set(position, {
      first: known?.first ?? note,
      madeBy: isOwn ? note.process : known?.madeBy,
      heardBy: (known?.heardBy ?? 0) + (isOwn ? 0 : 1),
      slowest: typeof delay === "number" ? Math.max(delay, known?.slowest ?? delay) : known?.slowest,
    });
  }
  return [...rows.values()];
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Time", cell: ({ first }) => <span class="mono">{clock(first.at)}</span> },
  { name: "Made by", cell: ({ madeBy }) => madeBy ?? <span class="muted">another</span> },
  {
    name: "What",
    class: "text-cell",
    cell: ({ first: { invalidation } }) => (
      <>
        {invalidation.targets.map((target) => (
          <Target key={target} text={target} />
        ))}
        {invalidation.marks > invalidation.targets.length && (
          <span class="muted">and {number(invalidation.marks - invalidation.targets.length)} more</span>
        )}
      </>
    ),
  },
  {
    name: "How",
    cell: ({ first }) =>
      first.invalidation.soft ? <span class="pill stale">soft</span> : <span class="pill">hard</span>,
  },
  {
    name: "Named",
    right: true,
    title: "Keys, tags and prefixes in one record",
    cell: ({ first }) => number(first.invalidation.marks),
  },
  {
    name: "Heard by",
    right: true,
    title: "Processes that report, without the one that made it",
    cell: ({ heardBy }) => number(heardBy),
  },
  {
    name: "Took",
    right: true,
    title: "From the log to the process that heard of it last",
    cell: ({ slowest }) => duration(slowest),
    sort: ({ slowest }) => slowest ?? 0,
  },
];

function Target(props: { readonly text: string }): JSX.Element {
  const [kind = "", ...rest] = props.text.split(" ");
  const name = rest.join(" ");
  return (
    <span class="marked">
      <span class="muted">{kind}</span>{" "}
      {kind === "key" ? (
        <a class="key" href={entryAddress(name)}>
          <bdi>{visible(name)}</bdi>
        </a>
      ) : (
        <bdi class="mono">{visible(name)}</bdi>
      )}
    </span>
  );
}
