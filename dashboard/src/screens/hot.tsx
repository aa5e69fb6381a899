import type { JSX } from "preact";
import type { Ranked } from "../../../src/admin/report.js";
import type { HotKeyStats } from "../../../src/stats.js";
import { bytes, duration, number, rate } from "../format.js";
import { Empty, EntityName, KeyLink, Meter, Panel, Table, type Column } from "../parts.js";
import { overview } from "../state.js";

export function HotScreen(): JSX.Element | null {
  const now = overview.value;
  if (now === undefined) return null;
  const { sampled } = now;
  const since = sampled === undefined ? "" : `sampled for ${duration(now.at - sampled.since)}`;
  return (
    <>
      <Panel title="Hot keys" hint="read more often than hotKeys.perSecond: kept in memory, refreshed early" flush>
        {now.hot.length === 0 ? (
          <Empty title="No key is hot">
            <p>
              A key is hot when one process reads it more than 100 times a second (<code>hotKeys.perSecond</code>).
            </p>
          </Empty>
        ) : (
          <Table label="Hot keys" columns={HOT_COLUMNS} rows={now.hot} keyOf={({ key }) => key} />
        )}
      </Panel>
      <div class="grid three">
        <Ranking
          title="Read most"
          hint={`${since}, one hit in ${sampled?.everyHit ?? 8}`}
          rows={sampled?.mostRead ?? []}
          show={number}
          color="memory"
          empty="Reads show here a second after they happen."
        />
        <Ranking
          title="Missed most"
          hint={since}
          rows={sampled?.mostMissed ?? []}
          show={number}
          color="miss"
          empty="No read has missed while you look."
        />
        <Ranking
          title="Largest in memory"
          hint="estimated bytes of heap"
          rows={sampled?.largest ?? []}
          show={bytes}
          color="stale"
          empty="Memory holds nothing, or is being looked through."
        />
      </div>
    </>
  );
}

const HOT_COLUMNS: readonly Column<HotKeyStats>[] = [
  { name: "Key", class: "key-cell", cell: ({ key }) => <KeyLink path={key} /> },
  { name: "Reads/s", right: true, cell: ({ perSecond }) => rate(perSecond), sort: ({ perSecond }) => perSecond },
  { name: "Kept in memory", cell: ({ pinned }) => (pinned ? "yes" : <span class="muted">no</span>) },
  {
    name: "From copies",
    right: true,
    title: "Reads answered by a copy on another shard",
    cell: ({ fromCopies }) => number(fromCopies),
  },
];

function Ranking(props: {
  readonly title: string;
  readonly hint: string;
  readonly rows: readonly Ranked[];
  readonly show: (count: number) => string;
  readonly color: string;
  readonly empty: string;
}): JSX.Element {
  const top = props.rows[0]?.count ?? 1;
  return (
    <Panel title={props.title} hint={props.hint} flush>
      {props.rows.length === 0 ? (
        <Empty title="Nothing yet">
          <p>{props.empty}</p>
        </Empty>
      ) : (
        <ol class="ranking">
          {props.rows.map(({ key, entity, count }) => (
            <li key={key}>
              <div class="rank-line">
                <KeyLink path={key} />
                <b>{props.show(count)}</b>
              </div>
              <div class="rank-line">
                <Meter share={count / top} color={props.color} label={props.show(count)} />
                <small class="muted">
                  <EntityName name={entity} />
                </small>
              </div>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
