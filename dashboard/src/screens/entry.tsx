import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, messageOf, type ShownEntry } from "../api.js";
import { bytes, duration, plural, visible } from "../format.js";
import { Dot, Panel, Segments } from "../parts.js";
import { cacheName, me, to } from "../state.js";

export function State(props: { readonly state: string }): JSX.Element {
  const tone =
    ({ fresh: "good", stored: "good", stale: "warn", dead: "bad", down: "bad" } as const)[props.state] ?? "idle";
  return (
    <span class="state">
      <Dot tone={tone} />
      {props.state}
    </span>
  );
}

/** What is known of one entry. */
export function Entry(props: { readonly path: string; readonly again: number }): JSX.Element {
  const { path } = props;
  const name = cacheName.value;
  const [entry, setEntry] = useState<ShownEntry | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [at, setAt] = useState(0);
  useEffect(() => {
    let over = false;
    const look = (): void => {
      api.entry(name, path).then(
        (answer) => {
          if (over) return;
          setEntry(answer);
          setAt(performance.now());
          setProblem(undefined);
        },
        (error: unknown) => !over && setProblem(messageOf(error)),
      );
    };
    look();
    const timer = setInterval(look, 3_000);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [name, path, props.again]);
  const isThis = entry?.explanation.key === path;
  return (
    <div class="entry">
      <Panel
        title="Entry"
        hint={entry?.entity === undefined || !isThis ? undefined : `${entry.entity} v${entry.version}`}
        aside={
          me.value?.canPurge === true ? (
            <a class="button small" href={to("purge", { kind: "key", text: path, canonical: "true" })}>
              Purge it…
            </a>
          ) : undefined
        }
      >
        <h3 class="path mono">
          <Segments path={path} />
        </h3>
        {problem !== undefined && <p class="error">{problem}</p>}
        {entry !== undefined && isThis && <EntryBody entry={entry} at={at} />}
      </Panel>
    </div>
  );
}

function EntryBody(props: { readonly entry: ShownEntry; readonly at: number }): JSX.Element {
  const { entry } = props;
  const best = entry.memory ?? entry.shared;
  const { failures } = entry.explanation;
  return (
    <>
      <p class="summary">{entry.explanation.summary}</p>
      {failures !== undefined && (
        <p class="error">
          Its loader failed {plural(failures.count, "time")} in a row; the next try is in {duration(failures.retryIn)}.
        </p>
      )}
      {best !== null && <TimeBar facts={best} />}
      <TierTable entry={entry} />
      {best !== null && (best.tags.length > 0 || best.etag !== undefined) && (
        <div class="tags">
          {best.tags.map((tag) => (
            <a
              key={tag}
              class="chip mono"
              href={to("keys", { kind: "tag", text: tag, canonical: "true" })}
              title="Everything with this tag"
            >
              <bdi>{visible(tag)}</bdi>
            </a>
          ))}
          {best.etag !== undefined && <span class="muted">etag {visible(best.etag)}</span>}
        </div>
      )}
      <Waterfall entry={entry} />
      <Value entry={entry} />
    </>
  );
}

function TimeBar(props: { readonly facts: NonNullable<ShownEntry["memory"]> }): JSX.Element {
  const { ttl, staleWhileRevalidate, staleIfError, age } = props.facts;
  const stale = Math.max(staleWhileRevalidate, staleIfError);
  const whole = ttl + stale;
  const at = Math.min(1, age / whole);
  const left = ttl - age;
  return (
    <div
      class="ttl"
      role="img"
      aria-label={`Loaded ${duration(age)} ago; ${left > 0 ? `fresh for ${duration(left)}` : `stale since ${duration(-left)}`}`}
    >
      <div class="ttl-bar">
        <span class="fresh" style={{ width: `${(100 * ttl) / whole}%` }} />
        {stale > 0 && <span class="stale" style={{ width: `${(100 * stale) / whole}%` }} />}
        <i style={{ left: `${100 * at}%` }} />
      </div>
      <div class="ttl-text">
        <span>{duration(age)} old</span>
        <span>{left > 0 ? `fresh for ${duration(left)}` : `past its time by ${duration(-left)}`}</span>
        <span>{stale > 0 ? `then stale for ${duration(stale)}` : "then gone"}</span>
      </div>
    </div>
  );
}

function TierTable(props: { readonly entry: ShownEntry }): JSX.Element {
  const { tiers } = props.entry.explanation;
  const hasReason = tiers.some(({ state, reason }) => state !== "fresh" && reason !== undefined);
  return (
    <div class="table-wrap tier-table">
      <table aria-label="Tiers">
        <thead>
          <tr>
            <th>Tier</th>
            <th>State</th>
            {hasReason && <th>Why not fresh</th>}
            <th class="right">Age</th>
            <th class="right">Fresh for</th>
            <th class="right">Size</th>
          </tr>
        </thead>
        <tbody>
          {tiers.map(({ tier, state, reason, age, freshFor, bytes: size }) => (
            <tr key={tier}>
              <td>{tier}</td>
              <td>
                <State state={state} />
              </td>
              {hasReason && <td class="muted">{state === "fresh" ? "" : (reason ?? "")}</td>}
              <td class="right">{age === undefined ? "–" : duration(age)}</td>
              <td class="right">{freshFor === undefined ? "–" : duration(freshFor)}</td>
              <td class="right">{size === undefined ? "–" : bytes(size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const STEP_NAMES = { memory: "look in memory", shared: "read the shared tier", decode: "decode and check" } as const;

const END_NAMES = { memory: "memory", shared: "the shared tier", load: "the source" } as const;

function endOf(isInMemory: boolean, isShared: boolean): keyof typeof END_NAMES {
  if (isInMemory) return "memory";
  return isShared ? "shared" : "load";
}

/** A read of it, step by step, as it would go now; the steps that it does not come to are pale. */
function Waterfall(props: { readonly entry: ShownEntry }): JSX.Element {
  const { entry } = props;
  const [memory, shared] = entry.explanation.tiers;
  const cost = (entry.memory ?? entry.shared)?.loadCost ?? 0;
  const endsAt = endOf(memory?.state === "fresh", shared?.state === "fresh");
  const steps = [
    ...entry.steps.map(({ what, took, bytes: size }) => ({
      name: STEP_NAMES[what],
      took,
      size,
      color: what === "memory" ? "memory" : "shared",
      past: endsAt === "memory" && what !== "memory",
    })),
    ...(cost > 0 || endsAt === "load"
      ? [{ name: "load from the source", took: cost, size: undefined, color: "miss", past: endsAt !== "load" }]
      : []),
  ];
  const total = Math.max(
    1e-6,
    steps.reduce((sum, { took }) => sum + took, 0),
  );
  let begun = 0;
  return (
    <div class="waterfall">
      <h4>
        A read of it <span class="muted">ends at {END_NAMES[endsAt]}; measured just now</span>
      </h4>
      {steps.map(({ name, took, color, size, past }) => {
        const left = begun;
        begun += took;
        return (
          <div class={`fall ${past ? "past" : ""}`} key={name}>
            <span class="fall-name">{name}</span>
            <span class="fall-track">
              <i
                style={{
                  left: `${(100 * left) / total}%`,
                  width: `max(2px, ${(100 * took) / total}%)`,
                  background: `var(--${color})`,
                }}
              />
            </span>
            <span class="fall-took">{name.startsWith("load") && took === 0 ? "unknown" : duration(took)}</span>
            <span class="fall-size muted">{size === undefined ? "" : bytes(size)}</span>
          </div>
        );
      })}
    </div>
  );
}

function Value(props: { readonly entry: ShownEntry }): JSX.Element | null {
  const { memory, shared, hidden } = props.entry;
  if (memory === null && shared === null) return null;
  if (hidden !== null) {
    return (
      <div class="value">
        <h4>Value</h4>
        <p class="muted">
          {hidden === "settings"
            ? "Values are hidden here (as they are in production): set `values: true` in createAdmin to see them."
            : "Your role may not see values: sign in with the token of a reader."}
        </p>
      </div>
    );
  }
  const shown = memory?.value ?? shared?.value;
  if (shown === null || shown === undefined) return null;
  const isSplit = memory !== null && shared !== null && memory.value?.text !== shared.value?.text;
  return (
    <div class="value">
      <h4>
        Value
        {shown.redacted && <span class="muted"> some fields are not shown</span>}
        {shown.cut && <span class="muted"> the beginning of it</span>}
      </h4>
      {isSplit && <p class="error">Memory and the shared tier hold different values; this is memory’s.</p>}
      <pre class="code" tabIndex={0}>
        {shown.text}
      </pre>
    </div>
  );
}
