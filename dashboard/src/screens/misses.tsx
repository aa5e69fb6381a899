import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Told } from "../../../src/admin/merge.js";
import type { Miss } from "../../../src/admin/report.js";
import type { MissReason } from "../../../src/events.js";
import { clock, number, percent } from "../format.js";
import { Empty, EntityName, KeyLink, Meter, Panel, Table, type Column } from "../parts.js";
import { overview } from "../state.js";

const REASONS: Readonly<Record<MissReason, readonly [what: string, todo: string]>> = {
  cold: ["never stored, or long forgotten", "Warm it before users ask, or load several at once."],
  expired: ["its time was over", "A longer ttl, staleWhileRevalidate, or earlyRefresh for what is hot."],
  evicted: ["memory had made room", "More maxBytes: the curve under Memory says what it would bring."],
  "invalidated-key": [
    "the key was invalidated",
    "As it should be after a write; writeThrough stores the new value instead.",
  ],
  "invalidated-tag": ["a tag of it was invalidated", "Many of these? The tag may be wider than what changes."],
  "invalidated-prefix": ["a prefix of it was invalidated", "A narrower prefix, or a tag, spares the rest."],
  "invalidated-pattern": ["a pattern hit it", "A tag says more exactly what belongs together."],
  "invalidated-all": ["everything was invalidated", "A deploy or a person; the audit says who, if it was from here."],
  forgotten: ["older than what the log remembers", "The cache was alone for long, or marks are many: maxMarks."],
  suspect: ["the log, or the feed, had not vouched for it", "Look at Health: the bus or the feed is behind."],
  version: ["another version of its entity, or refused by its schema", "As it should be while a deploy rolls."],
  corrupt: ["bytes that are no entry", "Somebody else writes there, or keys of encryption are missing."],
  older: ["an older row than this process has met", "A replica that lags, or a load that was slow."],
  bypass: ["the caller asked for a fresh one", "forceFresh, or refresh."],
  error: ["the tier failed or did not answer in time", "Look at Health."],
};

export function MissesScreen(): JSX.Element | null {
  const now = overview.value;
  const [entity, setEntity] = useState("*");
  if (now === undefined) return null;
  const stats = entity === "*" ? now.total : (now.entities[entity] ?? now.total);
  const reasons = Object.entries(stats.missReasons)
    .filter((entry): entry is [MissReason, number] => (entry[1] ?? 0) > 0)
    .sort(([, a], [, b]) => b - a);
  const missed = (now.sampled?.misses ?? []).filter((miss) => entity === "*" || miss.entity === entity);
  return (
    <>
      <Panel
        title="Reasons"
        hint={`${number(stats.misses)} misses of ${number(stats.gets)} reads since the start`}
        flush
        aside={
          <select aria-label="Entity" value={entity} onChange={(event) => setEntity(event.currentTarget.value)}>
            <option value="*">all entities</option>
            {Object.keys(now.entities).map((name) => (
              <option key={name} value={name}>
                {name === "" ? "raw keys" : name}
              </option>
            ))}
          </select>
        }
      >
        {reasons.length === 0 ? (
          <Empty title="No read has missed">
            <p>{stats.gets === 0 ? "There was no read yet." : "Every read was answered by a tier."}</p>
          </Empty>
        ) : (
          <Table label="Reasons" columns={reasonColumns(stats.misses)} rows={reasons} keyOf={([reason]) => reason} />
        )}
      </Panel>
      <Panel title="Just now" hint="every miss while this page is open, newest first" flush>
        {missed.length === 0 ? (
          <Empty title="No misses while you look">
            <p>They show here as they happen, with the reason of each.</p>
          </Empty>
        ) : (
          <Table
            label="Misses"
            columns={MISS_COLUMNS}
            rows={missed.slice(0, 100)}
            keyOf={({ process, number: n }) => `${process}-${n}`}
          />
        )}
      </Panel>
    </>
  );
}

function reasonColumns(total: number): readonly Column<[MissReason, number]>[] {
  return [
    { name: "Reason", cell: ([reason]) => <b class="nowrap">{reason}</b> },
    { name: "It means", cell: ([reason]) => REASONS[reason]?.[0] ?? "" },
    { name: "Misses", right: true, cell: ([, count]) => number(count) },
    { name: "Share", right: true, cell: ([, count]) => percent(count / total) },
    {
      name: "",
      class: "wide bar-cell",
      cell: ([reason, count]) => (
        <Meter share={count / total} color="miss" label={`${reason}: ${percent(count / total)}`} />
      ),
    },
    { name: "What helps", class: "text-cell muted", cell: ([reason]) => REASONS[reason]?.[1] ?? "" },
  ];
}

const MISS_COLUMNS: readonly Column<Told<Miss>>[] = [
  { name: "Time", cell: ({ at }) => <span class="mono">{clock(at)}</span> },
  { name: "Key", class: "key-cell", cell: ({ key }) => <KeyLink path={key} /> },
  { name: "Entity", cell: ({ entity }) => <EntityName name={entity} /> },
  { name: "Reason", cell: ({ reason }) => reason },
  { name: "Process", class: "wide muted", cell: ({ process }) => process },
];
