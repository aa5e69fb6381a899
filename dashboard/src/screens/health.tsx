import type { JSX } from "preact";
import type { Overview, Told } from "../../../src/admin/merge.js";
import type { Note } from "../../../src/admin/report.js";
import { clock, duration, number } from "../format.js";
import { checksOf } from "../health.js";
import { Code, Dot, Empty, KeyLink, Panel, Table, type Column } from "../parts.js";
import { cache, overview, processes } from "../state.js";

export function HealthScreen(): JSX.Element | null {
  const facts = cache.value;
  const now = overview.value;
  if (facts === undefined || now === undefined) return null;
  const checks = checksOf(facts, now);
  return (
    <>
      {now.shared !== undefined && !now.shared.up && (
        <Diagnosis now={now} kind={facts.tiers.shared ?? now.shared.kind} />
      )}
      <Panel title="Parts" flush>
        <ul class="checks">
          {checks.map(({ name, tone, state, advice }) => (
            <li key={name}>
              <Dot tone={tone} label={tone} />
              <b>{name}</b>
              <span>{state}</span>
              <span class="muted">{advice}</span>
            </li>
          ))}
        </ul>
      </Panel>
      <div class="grid two">
        <Shards now={now} />
        <ProcessList />
      </div>
      <Happened now={now} />
    </>
  );
}

/** What to look at when the shared tier is away, with what it said. */
function Diagnosis(props: { readonly now: Overview; readonly kind: string }): JSX.Element {
  const { now, kind } = props;
  const down = now.notes.find(({ type }) => type === "tier-down");
  const said = [
    ...new Set(
      now.notes.flatMap(({ type, detail }) => (type === "tier-failed" && detail !== undefined ? [detail] : [])),
    ),
  ].slice(0, 4);
  const isRedis = kind === "redis";
  return (
    <Panel
      title={`${kind} does not answer`}
      hint={down === undefined ? undefined : `since ${clock(down.at)}, ${duration(now.at - down.at)} ago`}
      class="diagnosis"
    >
      <div class="grid two">
        <div>
          <h4>What goes on meanwhile</h4>
          <ul class="plain">
            <li>
              Reads are answered from memory while it is fresh, else by the loaders; stale is served where the policy
              allows.
            </li>
            <li>
              {now.shared !== undefined && now.shared.unsent > 0
                ? `${number(now.shared.unsent)} invalidations wait and are sent again; this process serves nothing of them.`
                : "Invalidations would wait and be sent again."}
            </li>
            <li>
              Each process loads for itself; the gate holds {number(now.gate.active)} loads, {number(now.gate.queued)}{" "}
              wait.
            </li>
            <li>One call tries again after each cooldown: the breaker closes by itself.</li>
          </ul>
        </div>
        <div>
          <h4>What it said</h4>
          {said.length === 0 ? (
            <p class="muted">Nothing: the calls ran out of time.</p>
          ) : (
            <Code>{said.join("\n")}</Code>
          )}
          <h4>What to look at</h4>
          <ul class="plain">
            {isRedis ? (
              <>
                <li>
                  Does it answer from this machine? <code>redis-cli -u $REDIS_URL ping</code>
                </li>
                <li>
                  Is it full, or failing over? <code>redis-cli info memory replication</code>
                </li>
                <li>“did not answer within”: it, or the network, is slower than shared.timeout.</li>
              </>
            ) : (
              <li>Is its file or server there, and may this process reach it?</li>
            )}
          </ul>
        </div>
      </div>
    </Panel>
  );
}

const CIRCUITS = { closed: "good", "half-open": "warn", open: "bad" } as const;

function Shards(props: { readonly now: Overview }): JSX.Element {
  const tier = props.now.shared;
  if (tier === undefined) {
    return (
      <Panel title="Shared tier">
        <Empty title="None: this is memory of one process">
          <p>With one, processes share what they load, and hear of each other’s invalidations:</p>
          <Code>{"createCache({ tiers: [memory(), redis(client)] })"}</Code>
        </Empty>
      </Panel>
    );
  }
  const rows = tier.shards.map((shard, at) => ({ ...shard, at }));
  const columns: Column<(typeof rows)[number]>[] = [
    { name: "Shard", cell: ({ at }) => at },
    {
      name: "Breaker",
      cell: ({ circuit }) => (
        <span class="state">
          <Dot tone={CIRCUITS[circuit]} />
          {circuit}
        </span>
      ),
    },
    {
      name: "Heard",
      right: true,
      cell: ({ heardAgo }) => `${duration(Math.max(0, heardAgo))} ago`,
      sort: ({ heardAgo }) => heardAgo,
    },
    { name: "Unsent", right: true, cell: ({ unsent }) => number(unsent), sort: ({ unsent }) => unsent },
    { name: "Position", right: true, class: "wide", cell: ({ position }) => <span class="mono">{position}</span> },
  ];
  return (
    <Panel
      title="Shared tier"
      hint={`${tier.kind} · ${number(tier.failures)} failed calls · ${number(tier.corrupt)} corrupt · ${number(tier.gaps)} gaps`}
      flush
    >
      <Table label="Shards" columns={columns} rows={rows} keyOf={({ at }) => String(at)} />
    </Panel>
  );
}

function ProcessList(): JSX.Element {
  const all = processes.value;
  const columns: Column<(typeof all)[number]>[] = [
    {
      name: "Process",
      cell: ({ name, id }) => (id === cache.value?.self ? <b>{name}</b> : name),
      sort: ({ name }) => name,
    },
    { name: "Environment", class: "wide", cell: ({ environment }) => environment },
    {
      name: "Runs for",
      right: true,
      cell: ({ startedAt, at }) => duration(at - startedAt),
      sort: ({ startedAt }) => -startedAt,
    },
    { name: "Told", right: true, cell: ({ at }) => clock(at), sort: ({ at }) => at },
  ];
  return (
    <Panel
      title="Processes"
      hint={
        cache.value?.processes === true
          ? "those that share the tier and have an admin side"
          : "only this one: there is no shared tier to meet in"
      }
      flush
    >
      <Table label="Processes" columns={columns} rows={all} keyOf={({ id }) => id} />
    </Panel>
  );
}

interface Happening {
  readonly last: Told<Note>;
  readonly times: number;
}

/** What happens again and again is one line: the newest, and how often. */
function together(notes: readonly Told<Note>[]): readonly Happening[] {
  const rows = new Map<string, Happening>();
  for (const note of notes) {
    const name = JSON.stringify([note.type, note.key === undefined ? note.what : "", note.detail, note.process]);
    const known = rows.get(name);
    rows.set(name, { last: known?.last ?? note, times: (known?.times ?? 0) + 1 });
  }
  return [...rows.values()];
}

function Happened(props: { readonly now: Overview }): JSX.Element {
  const rows = together(props.now.notes.filter(({ type }) => type !== "invalidated")).slice(0, 60);
  return (
    <Panel title="What happened" hint="newest first; invalidations have a page of their own" flush>
      {rows.length === 0 ? (
        <Empty title="Nothing out of the ordinary">
          <p>Failures of tiers, loads and flushes, gaps in the log, and news of the feed show here.</p>
        </Empty>
      ) : (
        <Table
          label="What happened"
          columns={NOTE_COLUMNS}
          rows={rows}
          keyOf={({ last }) => `${last.process}-${last.number}`}
        />
      )}
    </Panel>
  );
}

const NOTE_COLUMNS: readonly Column<Happening>[] = [
  { name: "Last", cell: ({ last }) => <span class="mono">{clock(last.at)}</span> },
  { name: "Times", right: true, cell: ({ times }) => number(times), sort: ({ times }) => times },
  { name: "What", cell: ({ last }) => <b class="nowrap">{last.type}</b> },
  {
    name: "Of",
    class: "key-cell",
    cell: ({ last }) => (last.key === undefined ? last.what : <KeyLink path={last.key} />),
  },
  { name: "Detail", class: "detail muted", cell: ({ last }) => <span title={last.detail}>{last.detail ?? ""}</span> },
  { name: "Process", class: "muted", cell: ({ last }) => last.process },
];
