import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { PurgePreview, PurgeResult, TierCount } from "../../../src/admin/purges.js";
import type { AdminTarget } from "../../../src/admin/target.js";
import { api, ApiError, messageOf } from "../api.js";
import { bytes, number, plural, visible } from "../format.js";
import { Code, Empty, KeyLink, Panel, Segmented } from "../parts.js";
import { cacheName, me, route, to } from "../state.js";
import { readTarget, TargetForm } from "./keys.js";

const KINDS = [
  ["key", "Key"],
  ["tag", "Tag"],
  ["prefix", "Prefix"],
  ["entity", "Entity"],
  ["pattern", "Pattern"],
] as const;

export function PurgeScreen(): JSX.Element {
  const facts = me.value;
  if (facts?.readOnly === true) {
    return (
      <Panel title="Read-only">
        <Empty title="Nothing can be purged from here">
          <p>
            This is the default in production. To allow operators to purge, with a preview and an audit line for each:
          </p>
          <Code>
            {'createAdmin(cache, { environment: "production", readOnly: false, audit: (line) => log.write(line) })'}
          </Code>
        </Empty>
      </Panel>
    );
  }
  if (facts?.canPurge !== true) {
    return (
      <Panel title="Not yours to purge">
        <Empty title={`The role “${facts?.role ?? ""}” looks and does not touch`}>
          <p>
            Sign in with the token of an <code>operator</code>.
          </p>
        </Empty>
      </Panel>
    );
  }
  return <Purge isAdmin={facts.canPurgeAll} />;
}

function Purge(props: { readonly isAdmin: boolean }): JSX.Element {
  const given = readTarget(route.value.params);
  const [target, setTarget] = useState<AdminTarget>(given);
  const [mode, setMode] = useState<"soft" | "hard">("soft");
  const [preview, setPreview] = useState<PurgePreview | undefined>(undefined);
  const [result, setResult] = useState<PurgeResult | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setTarget(given);
    forget();
  }, [given.kind, given.text, given.scope, given.canonical]);

  function forget(): void {
    setPreview(undefined);
    setResult(undefined);
    setProblem(undefined);
  }

  async function look(next: AdminTarget, as: "soft" | "hard"): Promise<void> {
    forget();
    setTarget(next);
    setBusy(true);
    try {
      setPreview(await api.preview(cacheName.value, next, as === "soft"));
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setBusy(false);
    }
  }

  async function run(confirm: string | undefined): Promise<void> {
    if (preview === undefined) return;
    setBusy(true);
    setProblem(undefined);
    try {
      setResult(await api.purge(preview.token, confirm));
    } catch (error) {
      setProblem(messageOf(error));
      if (error instanceof ApiError && error.code === "preview") setPreview(undefined);
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <Panel title="What to purge" hint="looked at first: nothing goes before you have seen what">
        <TargetForm
          target={target}
          kinds={props.isAdmin ? [...KINDS, ["all", "Everything"]] : KINDS}
          submit="Preview"
          onSubmit={(next) => void look(next, mode)}
        >
          <Segmented
            label="How"
            options={[
              ["soft", "Soft"],
              ["hard", "Hard"],
            ]}
            value={mode}
            onChange={(as) => {
              setMode(as);
              forget();
            }}
          />
        </TargetForm>
        <p class="muted note">
          {mode === "soft"
            ? "Soft: entries become stale and are loaded again when they are read; where the policy allows, stale is served meanwhile. The source is spared."
            : "Hard: entries are gone at once, in every process. Every read of one is a load."}
        </p>
        {problem !== undefined && (
          <p class="error" role="alert">
            {problem}
          </p>
        )}
      </Panel>
      {preview !== undefined && result === undefined && (
        <Preview preview={preview} busy={busy} onRun={(confirm) => void run(confirm)} />
      )}
      {preview !== undefined && result !== undefined && <Done preview={preview} result={result} onNext={forget} />}
    </>
  );
}

function Preview(props: {
  readonly preview: PurgePreview;
  readonly busy: boolean;
  readonly onRun: (confirm: string | undefined) => void;
}): JSX.Element {
  const { preview, busy } = props;
  const [typed, setTyped] = useState("");
  const most = Math.max(preview.memory?.entries ?? 0, preview.shared?.entries ?? 0);
  const isConfirmed = preview.confirm === undefined || typed === preview.confirm;
  return (
    <Panel
      title="Preview"
      hint={`${preview.soft ? "soft" : "hard"} · ${visible(preview.marks.join(", "))}`}
      class="preview"
    >
      <div class="counts">
        <Count name="In this process’s memory" count={preview.memory} none="no memory tier" />
        <Count name="In the shared tier" count={preview.shared} none="no shared tier" />
      </div>
      {preview.sample.length > 0 ? (
        <>
          <h4>{most > preview.sample.length ? `${preview.sample.length} of them` : "All of them"}</h4>
          <ul class="sample">
            {preview.sample.map((key) => (
              <li key={key}>
                <KeyLink path={key} />
              </li>
            ))}
          </ul>
        </>
      ) : (
        <p class="muted">
          Nothing of it is stored here. It is purged all the same: loads under way will not store what they bring, and
          other processes drop theirs.
        </p>
      )}
      {preview.confirm !== undefined && (
        <label class="confirm">
          This empties the cache. Type its name, <b class="mono">{preview.confirm}</b>, to go on:
          <input
            class="mono"
            value={typed}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
      )}
      <div class="actions">
        <button
          type="button"
          class="button danger"
          disabled={busy || !isConfirmed}
          onClick={() => props.onRun(preview.confirm === undefined ? undefined : typed)}
        >
          {most === 0
            ? "Purge"
            : `Purge ${preview.memory?.complete === false || preview.shared?.complete === false ? "at least " : ""}${plural(most, "entry")}`}
        </button>
        <span class="muted">Good for two minutes, for exactly this.</span>
      </div>
    </Panel>
  );
}

function Count(props: {
  readonly name: string;
  readonly count: TierCount | undefined;
  readonly none: string;
}): JSX.Element {
  const { count } = props;
  return (
    <div class="count">
      <span>{props.name}</span>
      {count === undefined ? (
        <b class="muted">{props.none}</b>
      ) : (
        <b>
          {count.complete || count.problem !== undefined ? "" : "≥ "}
          {count.problem === undefined ? number(count.entries) : "unknown"}
        </b>
      )}
      <small class="muted">{count === undefined ? "" : detailOf(count)}</small>
    </div>
  );
}

function detailOf({ bytes: size, problem, examined, complete }: TierCount): string {
  if (problem === "down") return "it does not answer: the purge is sent again until it does";
  if (problem === "unlisted") return "this tier cannot list its keys";
  const looked = complete ? "" : `of ${number(examined)} looked at`;
  return size === undefined ? looked : `${bytes(size)} ${looked}`;
}

function Done(props: {
  readonly preview: PurgePreview;
  readonly result: PurgeResult;
  readonly onNext: () => void;
}): JSX.Element {
  const { result, preview } = props;
  return (
    <Panel title="Purged" class="done">
      <p role="status">
        <b>{visible(preview.marks.join(", "))}</b> {preview.soft ? "is stale" : "is gone"} in every process that has
        heard of position <span class="mono">{result.position}</span>
        {result.memory !== undefined && `; this process had ${plural(result.memory, "entry")} of it`}.
      </p>
      <div class="actions">
        <button type="button" class="button" onClick={props.onNext}>
          Purge something else
        </button>
        {me.value?.canAudit === true && (
          <a class="button" href={to("audit")}>
            Audit
          </a>
        )}
      </div>
    </Panel>
  );
}
