import type { JSX } from "preact";
import type { Overview } from "../../../src/admin/merge.js";
import { Chart } from "../chart.js";
import { bytes, clock, duration, number, percent, rate } from "../format.js";
import { Code, Empty, KeyLink, Legend, Panel, Stat, Table, type Column } from "../parts.js";
import { history, ids, overview, everyTick } from "../state.js";

export function SourceScreen(): JSX.Element | null {
  const now = overview.value;
  if (now === undefined) return null;
  return (
    <>
      <Loads now={now} />
      <div class="grid two">
        <Feed now={now} />
        <Staleness now={now} />
      </div>
      <Behind now={now} />
    </>
  );
}

function Loads(props: { readonly now: Overview }): JSX.Element {
  everyTick();
  const { now } = props;
  const { total } = now;
  const { at, rates } = history.series(ids.value, undefined, 300, now.at);
  const lines = [
    { name: "loads", color: "miss", values: rates.map(({ loads }) => loads) },
    { name: "reads that shared one", color: "shared", values: rates.map(({ coalesced }) => coalesced) },
  ];
  const waited = total.coalesced.process + total.coalesced.cluster;
  return (
    <Panel title="Loads and who shared them" hint="per second">
      <div class="grid side-stats">
        <div>
          {at.length < 2 ? (
            <div class="waiting">The first points come in a second or two.</div>
          ) : (
            <Chart label="Loads per second" at={at} lines={lines} format={number} height={180} />
          )}
          <Legend items={lines.map(({ name, color, values }) => ({ name, color, value: rate(values.at(-1) ?? 0) }))} />
        </div>
        <dl class="facts">
          <dt>Waited in the same process</dt>
          <dd>{number(total.coalesced.process)}</dd>
          <dt>Waited for another process</dt>
          <dd>{number(total.coalesced.cluster)}</dd>
          <dt>Readers per load</dt>
          <dd>{total.loads === 0 ? "–" : number(1 + waited / total.loads)}</dd>
          <dt>Running now</dt>
          <dd>{number(now.gate.active)}</dd>
          <dt>Queued at the gate</dt>
          <dd>{number(now.gate.queued)}</dd>
          <dt>Failed</dt>
          <dd>{number(total.loadFailures)}</dd>
          <dt>Not stored</dt>
          <dd
            title={Object.entries(total.refused)
              .map(([reason, count]) => `${reason} ${count}`)
              .join(", ")}
          >
            {number(Object.values(total.refused).reduce((sum, count) => sum + (count ?? 0), 0))}
          </dd>
        </dl>
      </div>
    </Panel>
  );
}

function Feed(props: { readonly now: Overview }): JSX.Element {
  const { feed } = props.now;
  if (feed === undefined) {
    return (
      <Panel title="Feed of changes">
        <Empty title="No feed: writes past this cache show when a ttl is over">
          <p>With one, whatever commits to the database is invalidated, whoever wrote it:</p>
          <Code>
            {[
              "const feed = postgresFeed({ connect: process.env.DATABASE_URL });",
              "const cache = createCache({ …, feed });",
              'feed.table("contacts", { entity: contacts, id: (row) => row.id });',
            ].join("\n")}
          </Code>
        </Empty>
      </Panel>
    );
  }
  const { kind, maxStaleness, completeAgo, retainedBytes, ...rest } = feed;
  const ago = completeAgo as number | null;
  const late = ago === null || ago > maxStaleness;
  return (
    <Panel title="Feed of changes" hint={kind}>
      <div class="stats inner">
        <Stat
          label="Behind"
          value={ago === null ? "not complete" : duration(ago)}
          tone={late ? "bad" : undefined}
          sub={`believed for ${duration(maxStaleness)}`}
        />
        {typeof retainedBytes === "number" && (
          <Stat label="Log kept for it" value={bytes(retainedBytes)} sub="of WAL, at the source" />
        )}
      </div>
      <dl class="facts columns">
        {Object.entries(rest).map(([name, value]) => (
          <>
            <dt>{words(name)}</dt>
            <dd>{figure(name, value)}</dd>
          </>
        ))}
      </dl>
      <Recent now={props.now} type="feed" />
    </Panel>
  );
}

function figure(name: string, value: number | string | boolean | null | undefined): string {
  if (value === undefined || value === null) return "–";
  if (typeof value !== "number") return String(value);
  return name.endsWith("Bytes") ? bytes(value) : number(value);
}

/** `retainedBytes` as people write it. */
function words(name: string): string {
  const text = name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Staleness(props: { readonly now: Overview }): JSX.Element {
  const stale = props.now.staleness;
  if (stale === undefined) {
    return (
      <Panel title="Staleness, measured">
        <Empty title="Nobody measures">
          <p>
            A sample of changes is looked at again, and a sample of hits is loaded again and compared. It costs next to
            nothing:
          </p>
          <Code>{"createCache({ staleness: true })"}</Code>
        </Empty>
      </Panel>
    );
  }
  const { reads } = stale;
  const columns: Column<(typeof stale.changes)[number]>[] = [
    { name: "After a change", cell: ({ after }) => duration(after) },
    { name: "Looked at", right: true, cell: ({ checked }) => number(checked) },
    {
      name: "Still outdated",
      right: true,
      cell: ({ violations }) => (violations === 0 ? "0" : <span class="bad-text">{number(violations)}</span>),
    },
    {
      name: "Good",
      right: true,
      cell: ({ checked, violations }) => (checked === 0 ? "–" : percent(1 - violations / checked, 3)),
    },
  ];
  return (
    <Panel title="Staleness, measured" hint="of sampled changes and reads" flush>
      <Table label="Staleness" columns={columns} rows={stale.changes} keyOf={({ after }) => String(after)} />
      <dl class="facts padded">
        <dt>Sampled reads compared</dt>
        <dd>{number(reads.checked)}</dd>
        <dt>Same as the source</dt>
        <dd>{number(reads.same)}</dd>
        <dt>Older, within the bound</dt>
        <dd>{number(reads.legal)}</dd>
        <dt>Older than they may be</dt>
        <dd class={reads.violations > 0 ? "bad-text" : ""}>{number(reads.violations)}</dd>
        <dt>Different, and nothing tells why</dt>
        <dd class={reads.unexplained > 0 ? "bad-text" : ""}>{number(reads.unexplained)}</dd>
      </dl>
      {stale.found.length > 0 && (
        <ol class="ranking">
          {stale.found.slice(-5).map(({ key, what, outdatedFor }) => (
            <li key={key}>
              <div class="rank-line">
                <KeyLink path={key} />
                <b>
                  {what}
                  {outdatedFor !== undefined && outdatedFor !== null ? `, ${duration(outdatedFor)}` : ""}
                </b>
              </div>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Behind(props: { readonly now: Overview }): JSX.Element {
  const { writeBehind } = props.now;
  const columns: Column<Overview["writeBehind"][number]>[] = [
    { name: "Name", cell: ({ name }) => name },
    { name: "Waiting", right: true, cell: ({ depth }) => number(depth), sort: ({ depth }) => depth },
    {
      name: "Oldest",
      right: true,
      cell: ({ oldest, depth }) => (depth === 0 ? "–" : duration(oldest)),
      sort: ({ oldest }) => oldest,
    },
    { name: "Appended", right: true, cell: ({ appended }) => number(appended) },
    { name: "Flushed", right: true, cell: ({ flushed }) => number(flushed) },
    { name: "Failed flushes", right: true, cell: ({ failures }) => number(failures) },
    {
      name: "Dead letters",
      right: true,
      cell: ({ dead }) => (dead === 0 ? "0" : <span class="bad-text">{number(dead)}</span>),
    },
  ];
  return (
    <Panel title="Write-behind" hint="what waits in a journal on its way to the source" flush>
      {writeBehind.length === 0 ? (
        <Empty title="Nothing is written behind">
          <p>
            Rows and counts that may wait: <code>cache.writeBehind(…)</code> and <code>cache.counter(…)</code>.
          </p>
        </Empty>
      ) : (
        <Table label="Write-behind" columns={columns} rows={writeBehind} keyOf={({ name }) => name} />
      )}
    </Panel>
  );
}

export function Recent(props: { readonly now: Overview; readonly type?: string }): JSX.Element | null {
  const notes = props.now.notes.filter(({ type }) => type === props.type).slice(0, 6);
  if (notes.length === 0) return null;
  return (
    <ul class="notes">
      {notes.map((note) => (
        <li key={`${note.process}-${note.number}`}>
          <span class="mono muted">{clock(note.at)}</span> {note.what} <span class="muted">{note.detail}</span>
        </li>
      ))}
    </ul>
  );
}
