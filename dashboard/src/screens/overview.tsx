import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Overview } from "../../../src/admin/merge.js";
import type { ReadStats } from "../../../src/stats.js";
import { percentile, type TimeCounts } from "../../../src/time-histogram.js";
import { Chart } from "../chart.js";
import { bytes, duration, number, percent, rate } from "../format.js";
import { checksOf } from "../health.js";
import { sumOf, type Rates } from "../history.js";
import {
  Code,
  Dot,
  Empty,
  EntityName,
  Legend,
  Panel,
  Segmented,
  Sparkline,
  StackedBar,
  Stat,
  Table,
  type Column,
} from "../parts.js";
import { cache, history, ids, overview, processes, everyTick, to } from "../state.js";

const SECONDS = 300;

export function OverviewScreen(): JSX.Element | null {
  const now = overview.value;
  if (now === undefined) return null;
  return now.total.gets === 0 && now.total.loads === 0 ? <NoTraffic /> : <Figures now={now} />;
}

function NoTraffic(): JSX.Element {
  const name = cache.value?.name ?? "cache";
  return (
    <>
      <HealthStrip />
      <Panel title="No reads yet">
        <Empty title={`Nobody has read from “${name}” since it was made`}>
          <p>The first read shows here within a second:</p>
          <Code>{"const user = await cache.getOrLoad(`user:${id}`, () => db.user(id));"}</Code>
          <p>
            Reads happen in another process? It shows up when it uses the same shared tier and calls{" "}
            <code>createAdmin(cache)</code>, too. To see it all with traffic: <code>npm run demo -- --dashboard</code>{" "}
            in the repository.
          </p>
        </Empty>
      </Panel>
    </>
  );
}

function Figures(props: { readonly now: Overview }): JSX.Element {
  const { now } = props;
  const [picked, setPicked] = useState<string | undefined>(undefined);
  const [range, setRange] = useState<"live" | "hours">("live");
  const isMinutes = range === "hours" && picked === undefined;
  everyTick();
  const points = pointsOf(now, picked, isMinutes);
  const isDrawn = points.at.length >= 2;
  return (
    <>
      <HealthStrip />
      <KeyFigures now={now} />
      <div class="grid two">
        <Panel
          title="Reads per second"
          hint={picked === undefined ? undefined : `of ${picked === "" ? "raw keys" : picked}`}
          aside={
            picked === undefined ? (
              <Segmented
                label="Range"
                options={[
                  ["live", "5 min"],
                  ["hours", "3 h"],
                ]}
                value={range}
                onChange={setRange}
              />
            ) : (
              <button type="button" class="link" onClick={() => setPicked(undefined)}>
                all entities
              </button>
            )
          }
        >
          {isDrawn ? <ReadsChart points={points} /> : <Waiting minutes={isMinutes} />}
        </Panel>
        <Panel title="Hit ratio" hint="of reads, by where they are answered">
          {isDrawn ? <RatioChart points={points} over={isMinutes ? 1 : 5} /> : <Waiting minutes={isMinutes} />}
        </Panel>
      </div>
      <EntityTable now={now} picked={picked} onPick={(name) => setPicked(name === picked ? undefined : name)} />
      <div class="grid two">
        <Latency now={now} />
        <Saved now={now} />
      </div>
    </>
  );
}

export function HealthStrip(): JSX.Element | null {
  const facts = cache.value;
  const now = overview.value;
  if (facts === undefined || now === undefined) return null;
  const checks = checksOf(facts, now);
  return (
    <a class="strip" href={to("health")} aria-label="Health: open the details">
      {checks.map(({ name, tone, state }) => (
        <span key={name} class={tone}>
          <Dot tone={tone} />
          <b>{name}</b>
          {state}
        </span>
      ))}
      <span class="strip-right">
        {processes.value.length} {processes.value.length === 1 ? "process" : "processes"}
      </span>
    </a>
  );
}

function KeyFigures(props: { readonly now: Overview }): JSX.Element {
  const { now } = props;
  everyTick();
  const recent = history.recent(ids.value, undefined, now.at);
  const ratio = recent.gets > 0 ? 1 - recent.misses / recent.gets : now.total.hitRatio;
  const p99 = percentile(history.took(ids.value, "loads"), 0.99);
  const saved = Math.max(0, recent.gets - recent.loads);
  return (
    <div class="stats">
      <Stat
        label="Hit ratio"
        value={percent(ratio)}
        sub={`${percent(now.total.hitRatio)} since the start`}
        tone={ratio < 0.5 && recent.gets > 1 ? "warn" : undefined}
      />
      <Stat label="Reads" value={rate(recent.gets)} sub={`${number(now.total.gets)} in all`} />
      <Stat
        label="Loads from the source"
        value={rate(recent.loads)}
        sub={recent.gets > 0 ? `1 for ${number(recent.gets / Math.max(recent.loads, 1e-9))} reads` : "none just now"}
      />
      <Stat
        label="Loads saved"
        value={rate(saved)}
        sub={`${number(Math.max(0, now.total.gets - now.total.loads))} in all`}
      />
      <Stat
        label="Load, p99"
        value={duration(p99)}
        sub={`${now.gate.active} running, ${now.gate.queued} queued`}
        tone={now.gate.queued > 0 ? "warn" : undefined}
      />
      <Stat
        label="In memory"
        value={bytes(now.memory?.bytes ?? Number.NaN)}
        sub={
          now.memory === undefined
            ? "no memory tier"
            : `of ${bytes(now.memory.maxBytes)}, ${number(now.memory.entries)} entries`
        }
      />
    </div>
  );
}

interface Points {
  readonly at: readonly number[];
  readonly rates: readonly Rates[];
}

/** By the second as this page saw it, or by the minute as the processes remember it. */
function pointsOf(now: Overview, entity: string | undefined, minutes: boolean): Points {
  if (!minutes) return history.series(ids.value, entity, SECONDS, now.at);
  const samples = now.minutes;
  const at: number[] = [];
  const rates: Rates[] = [];
  for (let i = 1; i < samples.length; i += 1) {
    const a = samples[i - 1];
    const b = samples[i];
    if (a === undefined || b === undefined) continue;
    const seconds = Math.max(1, (b[0] - a[0]) / 1_000);
    const per = (field: 1 | 2 | 3 | 4 | 5 | 6 | 7): number => Math.max(0, b[field] - a[field]) / seconds;
    at.push(b[0] / 1_000);
    rates.push({
      gets: per(1),
      memory: per(2),
      shared: per(3),
      stale: per(4),
      misses: per(5),
      loads: per(6),
      loadMilliseconds: per(7),
      coalesced: 0,
    });
  }
  return { at, rates };
}

function ReadsChart(props: { readonly points: Points }): JSX.Element {
  const { at, rates } = props.points;
  const lines = [
    { name: "memory", color: "memory", values: rates.map(({ memory }) => memory) },
    { name: "shared tier", color: "shared", values: rates.map(({ shared }) => shared) },
    { name: "stale", color: "stale", values: rates.map(({ stale }) => stale) },
    { name: "miss", color: "miss", values: rates.map(({ misses }) => misses) },
  ];
  return (
    <>
      <Chart label="Reads per second" at={at} lines={lines} stacked format={number} height={208} />
      <Legend items={lines.map(({ name, color, values }) => ({ name, color, value: rate(values.at(-1) ?? 0) }))} />
    </>
  );
}

/** @param props.over so many points together, as one read in a second says little */
function RatioChart(props: { readonly points: Points; readonly over: number }): JSX.Element {
  const { at, rates } = props.points;
  const smooth = rates.map((_, index) => sumOf(rates.slice(Math.max(0, index + 1 - props.over), index + 1)));
  const share = (of: (rates: Rates) => number): (number | null)[] =>
    smooth.map((one) => (one.gets > 0 ? Math.min(1, of(one) / one.gets) : null));
  const lines = [
    { name: "any tier", color: "text", values: share(({ gets, misses }) => gets - misses), width: 2 },
    { name: "memory", color: "memory", values: share(({ memory }) => memory) },
    { name: "shared tier", color: "shared", values: share(({ shared }) => shared) },
    { name: "stale", color: "stale", values: share(({ stale }) => stale) },
  ];
  return (
    <>
      <Chart label="Hit ratio" at={at} lines={lines} max={1} format={(value) => percent(value, 0)} height={208} />
      <Legend
        items={lines.map(({ name, color, values }) => ({ name, color, value: percent(values.at(-1) ?? Number.NaN) }))}
      />
    </>
  );
}

function Waiting(props: { readonly minutes: boolean }): JSX.Element {
  return (
    <div class="waiting">
      {props.minutes ? "A point comes with each minute." : "The first points come in a second or two."}
    </div>
  );
}

interface EntityRow {
  readonly name: string;
  readonly stats: ReadStats;
  readonly recent: Rates;
  readonly line: readonly number[];
}

function EntityTable(props: {
  readonly now: Overview;
  readonly picked: string | undefined;
  readonly onPick: (name: string) => void;
}): JSX.Element {
  everyTick();
  const { now } = props;
  const rows: EntityRow[] = Object.entries(now.entities)
    .filter(([, stats]) => stats.gets > 0 || stats.loads > 0)
    .map(([name, stats]) => ({
      name,
      stats,
      recent: history.recent(ids.value, name, now.at),
      line: history.series(ids.value, name, 60, now.at).rates.map(({ gets }) => gets),
    }))
    // The worst ratio with the most traffic: where a miss costs most.
    .sort((a, b) => missed(b) - missed(a) || b.stats.gets - a.stats.gets);
  const columns: Column<EntityRow>[] = [
    { name: "Entity", cell: ({ name }) => <EntityName name={name} />, sort: ({ name }) => name },
    { name: "Reads/s", right: true, cell: ({ recent }) => number(recent.gets), sort: ({ recent }) => recent.gets },
    {
      name: "Last minute",
      class: "wide",
      cell: ({ name, line }) => <Sparkline values={line} color="memory" label={`Reads per second of ${name}`} />,
    },
    { name: "Hit ratio", right: true, cell: (row) => percent(ratioOf(row)), sort: ratioOf },
    {
      name: "Answered by",
      class: "wide",
      cell: ({ name, stats }) => (
        <StackedBar
          label={`${name === "" ? "raw keys" : name}: memory ${number(stats.hits.memory)}, shared tier ${number(stats.hits.shared)}, stale ${number(stats.staleHits)}, missed ${number(stats.misses)}`}
          shares={[
            { name: "memory", value: stats.hits.memory, color: "memory" },
            { name: "shared", value: stats.hits.shared, color: "shared" },
            { name: "stale", value: stats.staleHits, color: "stale" },
            { name: "miss", value: stats.misses, color: "miss" },
          ]}
        />
      ),
    },
    {
      name: "Misses/s",
      right: true,
      title: "What this list is sorted by: traffic times the share that is missed",
      cell: (row) => number(missed(row)),
      sort: missed,
    },
    { name: "Loads", right: true, cell: ({ stats }) => number(stats.loads), sort: ({ stats }) => stats.loads },
    {
      name: "Load takes",
      right: true,
      cell: ({ stats }) => duration(meanLoad(stats)),
      sort: ({ stats }) => meanLoad(stats) ?? 0,
    },
    {
      name: "Failed",
      right: true,
      cell: ({ stats }) =>
        stats.loadFailures === 0 ? (
          <span class="muted">0</span>
        ) : (
          <span class="bad-text">{number(stats.loadFailures)}</span>
        ),
      sort: ({ stats }) => stats.loadFailures,
    },
  ];
  return (
    <Panel title="Entities" hint="most misses first" flush>
      <Table
        label="Entities"
        columns={columns}
        rows={rows}
        keyOf={({ name }) => name}
        onPick={({ name }) => props.onPick(name)}
        picked={props.picked}
      />
    </Panel>
  );
}

function missed({ recent }: EntityRow): number {
  return recent.misses;
}

function ratioOf({ recent, stats }: EntityRow): number {
  return recent.gets > 0 ? 1 - recent.misses / recent.gets : stats.hitRatio;
}

function meanLoad({ loads, loadMilliseconds }: ReadStats): number | undefined {
  return loads === 0 ? undefined : loadMilliseconds / loads;
}

function Latency(props: { readonly now: Overview }): JSX.Element {
  everyTick();
  const shared = history.took(ids.value, "shared");
  const loads = history.took(ids.value, "loads");
  const memory = props.now.sampled?.memoryTook;
  const rows = [
    { name: "Memory", color: "memory", times: memory === undefined ? [] : [memory], note: "a look-up" },
    { name: cache.value?.tiers.shared ?? "Shared tier", color: "shared", times: timesOf(shared), note: "a call" },
    { name: "Loader", color: "miss", times: timesOf(loads), note: "a load" },
  ];
  return (
    <Panel title="How long it takes" hint="p50 · p95 · p99 of the last minute, log scale">
      <LogAxis rows={rows} />
    </Panel>
  );
}

function timesOf(counts: TimeCounts): readonly number[] {
  return [0.5, 0.95, 0.99].flatMap((share) => percentile(counts, share) ?? []);
}

const DECADES = [0.0001, 0.001, 0.01, 0.1, 1, 10, 100, 1_000, 10_000];

function LogAxis(props: {
  readonly rows: readonly {
    readonly name: string;
    readonly color: string;
    readonly times: readonly number[];
    readonly note: string;
  }[];
}): JSX.Element {
  const x = (ms: number): number => (100 * (Math.log10(Math.max(ms, 0.0001)) + 4)) / 8;
  return (
    <div class="log">
      {props.rows.map(({ name, color, times, note }) => {
        const first = times[0];
        const last = times.at(-1);
        return (
          <div class="log-row" key={name}>
            <div class="log-name">
              {name}
              <small>{note}</small>
            </div>
            <div
              class="log-track"
              role="img"
              aria-label={`${name}: ${times.length === 0 ? "nothing yet" : times.map((ms) => duration(ms)).join(", ")}`}
            >
              {DECADES.map((ms) => (
                <i key={ms} class="log-tick" style={{ left: `${x(ms)}%` }} />
              ))}
              {first !== undefined && last !== undefined && (
                <span
                  class="log-span"
                  style={{ left: `${x(first)}%`, width: `${x(last) - x(first)}%`, background: `var(--${color})` }}
                />
              )}
              {times.map((ms, at) => (
                <span
                  key={at}
                  class={`log-dot p${at}`}
                  style={{ left: `${x(ms)}%`, background: `var(--${color})` }}
                  title={duration(ms)}
                />
              ))}
            </div>
            <div class="log-values">
              {times.length === 0 ? (
                <span class="muted">–</span>
              ) : (
                times.map((ms) => <span key={ms}>{duration(ms)}</span>)
              )}
            </div>
          </div>
        );
      })}
      <div class="log-row log-axis">
        <div class="log-name" />
        <div class="log-track">
          {[0.001, 0.1, 10, 1_000].map((ms) => (
            <small key={ms} style={{ left: `${x(ms)}%` }}>
              {{ 0.001: "1 µs", 0.1: "100 µs", 10: "10 ms", 1000: "1 s" }[ms]}
            </small>
          ))}
        </div>
        <div class="log-values" />
      </div>
    </div>
  );
}

function Saved(props: { readonly now: Overview }): JSX.Element {
  const { total } = props.now;
  const hits = total.hits.memory + total.hits.shared + total.staleHits;
  const mean = meanLoad(total);
  const avoided = hits + total.loadsShared;
  return (
    <Panel title="What the source was spared" hint="since the start">
      <div class="saved">
        <StackedBar
          label={`loads made ${number(total.loads)}, answered by a tier ${number(hits)}, by another's load ${number(total.loadsShared)}`}
          shares={[
            { name: "tiers", value: hits, color: "memory" },
            { name: "shared loads", value: total.loadsShared, color: "shared" },
            { name: "loads", value: total.loads, color: "miss" },
          ]}
        />
        <dl class="facts">
          <dt>Answered by a tier</dt>
          <dd>{number(hits)}</dd>
          <dt>Answered by another read’s load</dt>
          <dd>{number(total.loadsShared)}</dd>
          <dt>Loaded</dt>
          <dd>
            {number(total.loads)}
            {total.loadFailures > 0 && <span class="bad-text"> and {number(total.loadFailures)} failed</span>}
          </dd>
          <dt>Loads avoided</dt>
          <dd>{percent(avoided / Math.max(1, avoided + total.loads + total.loadFailures))}</dd>
          <dt>Time of the source saved</dt>
          <dd>{mean === undefined ? "–" : duration(avoided * mean)}</dd>
        </dl>
      </div>
    </Panel>
  );
}
