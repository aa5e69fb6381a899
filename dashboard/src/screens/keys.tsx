import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Found, FoundKey } from "../../../src/admin/explore.js";
import type { AdminTarget } from "../../../src/admin/target.js";
import { api, asParams, messageOf } from "../api.js";
import { bytes, duration, number, plural, visible } from "../format.js";
import { Empty, EntityName, Panel, Segments, Segmented, Table, type Column } from "../parts.js";
import { cacheName, entryAddress, me, overview, route, to } from "../state.js";
import { Entry, State } from "./entry.js";

const KINDS = [
  ["key", "Key"],
  ["prefix", "Prefix"],
  ["tag", "Tag"],
  ["pattern", "Pattern"],
  ["entity", "Entity"],
] as const;
const EXAMPLES: Readonly<Record<AdminTarget["kind"], string>> = {
  key: "user:42, or a whole path as acme:contact:42:v2",
  prefix: "user:  (all that lies below)",
  tag: "project:7",
  pattern: "user:*:orders",
  entity: "contact",
  all: "",
};

export function readTarget(params: URLSearchParams): AdminTarget {
  const kind =
    (["prefix", "tag", "pattern", "entity", "all"] as const).find((one) => one === params.get("kind")) ?? "key";
  const scope = params.get("scope") ?? "";
  const canonical = params.get("canonical") === "true";
  return { kind, text: params.get("text") ?? "", ...(scope !== "" && { scope }), ...(canonical && { canonical }) };
}

/** What is looked for, by which name; shared by the explorer and the purge. */
export function TargetForm(props: {
  readonly target: AdminTarget;
  readonly kinds: readonly (readonly [AdminTarget["kind"], string])[];
  readonly submit: string;
  readonly onSubmit: (target: AdminTarget) => void;
  readonly children?: ComponentChildren;
}): JSX.Element {
  const [kind, setKind] = useState(props.target.kind);
  const [text, setText] = useState(props.target.text);
  const [scope, setScope] = useState(props.target.scope ?? "");
  // What is typed is as code writes it; what a link named stays as it is stored until it is changed.
  const canonical = props.target.canonical === true && kind === props.target.kind && text === props.target.text;
  useEffect(() => {
    setKind(props.target.kind);
    setText(props.target.text);
    setScope(props.target.scope ?? "");
  }, [props.target.kind, props.target.text, props.target.scope]);
  const isScoped = kind === "tag" || kind === "entity";
  return (
    <form
      class="target"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSubmit({
          kind,
          text: text.trim(),
          ...(isScoped && scope.trim() !== "" && { scope: scope.trim() }),
          ...(canonical && { canonical }),
        });
      }}
    >
      <Segmented label="What by" options={props.kinds} value={kind} onChange={setKind} />
      <div class="target-line">
        {kind !== "all" && (
          <input
            class="grow mono"
            aria-label={`The ${kind}`}
            placeholder={EXAMPLES[kind]}
            value={text}
            spellcheck={false}
            autocomplete="off"
            list={kind === "entity" ? "entity-names" : undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
        <datalist id="entity-names">
          {Object.keys(overview.value?.entities ?? {}).map((name) => name !== "" && <option key={name} value={name} />)}
        </datalist>
        {isScoped && (
          <input
            class="scope mono"
            aria-label="Scope"
            placeholder="scope (optional)"
            value={scope}
            onInput={(event) => setScope(event.currentTarget.value)}
          />
        )}
        {props.children}
        <button type="submit" class="button primary" disabled={kind !== "all" && text.trim() === ""}>
          {props.submit}
        </button>
      </div>
    </form>
  );
}

export function KeysScreen(): JSX.Element {
  const { params } = route.value;
  const target = readTarget(params);
  const path = params.get("path") ?? undefined;
  const asked = target.text !== "";
  const [found, setFound] = useState<Found | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [again, setAgain] = useState(0);
  const name = cacheName.value;
  useEffect(() => {
    if (!asked) return undefined;
    let over = false;
    setProblem(undefined);
    api.keys(name, target).then(
      (answer) => {
        if (over) return;
        setFound(answer);
        const only = answer.keys.length === 1 ? answer.keys[0] : undefined;
        if (only !== undefined && path === undefined)
          location.replace(to("keys", { ...asParams(target), path: only.key }));
      },
      (error: unknown) => {
        if (over) return;
        setFound(undefined);
        setProblem(messageOf(error));
      },
    );
    return () => {
      over = true;
    };
  }, [name, target.kind, target.text, target.scope, target.canonical, again]);
  return (
    <>
      <Panel title="Find entries" hint="in this process’s memory, and in the shared tier">
        <TargetForm
          target={target}
          kinds={KINDS}
          submit="Find"
          onSubmit={(next) => {
            const address = to("keys", asParams(next));
            if (location.hash === address) setAgain(again + 1);
            else location.hash = address;
          }}
        />
        {problem !== undefined && (
          <p class="error" role="alert">
            {problem}
          </p>
        )}
      </Panel>
      {!asked && <Start />}
      {asked && found !== undefined && (
        <div class={path === undefined ? "" : "split"}>
          <Results found={found} target={target} path={path} />
          {path !== undefined && <Entry path={path} again={again} />}
        </div>
      )}
    </>
  );
}

function Start(): JSX.Element {
  const entities = Object.keys(overview.value?.entities ?? {}).filter((name) => name !== "");
  const ranked = overview.value?.sampled?.mostRead.slice(0, 6) ?? [];
  return (
    <Panel title="Where to begin">
      {entities.length === 0 && ranked.length === 0 ? (
        <Empty title="Nothing is stored yet">
          <p>
            Keys show here when something was read or set. You can look for any key all the same: it says why a read
            would miss.
          </p>
        </Empty>
      ) : (
        <div class="chips-list">
          {entities.length > 0 && (
            <p>
              <span class="muted">By entity</span>
              {entities.slice(0, 24).map((name) => (
                <a key={name} class="chip" href={to("keys", { kind: "entity", text: name })}>
                  {name}
                </a>
              ))}
            </p>
          )}
          {ranked.length > 0 && (
            <p>
              <span class="muted">Read most just now</span>
              {ranked.map(({ key }) => (
                <a key={key} class="chip mono" href={entryAddress(key)}>
                  {visible(key)}
                </a>
              ))}
            </p>
          )}
        </div>
      )}
    </Panel>
  );
}

function Results(props: {
  readonly found: Found;
  readonly target: AdminTarget;
  readonly path: string | undefined;
}): JSX.Element {
  const { found, target, path } = props;
  const columns: Column<FoundKey>[] = [
    {
      name: "Key",
      class: "key-cell",
      cell: ({ key }) => (
        <span class="key" title={visible(key)}>
          <Segments path={key} />
        </span>
      ),
      sort: ({ key }) => key,
    },
    ...(path === undefined
      ? ([
          { name: "Entity", cell: ({ memory }) => (memory === null ? "" : <EntityName name={memory.entity} />) },
          {
            name: "Tags",
            cell: ({ memory }) => <span class="muted">{memory === null ? "" : plural(memory.tags.length, "tag")}</span>,
          },
        ] satisfies Column<FoundKey>[])
      : []),
    {
      name: "Memory",
      title: "Of the process that serves this page; others hold their own",
      cell: ({ memory }) => (memory === null ? <span class="muted">no</span> : <State state={memory.state} />),
      sort: ({ memory }) => memory?.state ?? "",
    },
    {
      name: "Shared",
      cell: ({ shared }) =>
        ({ true: <State state="stored" />, false: <span class="muted">no</span>, null: <span class="muted">?</span> })[
          String(shared) as "true" | "false" | "null"
        ],
    },
    ...(path === undefined
      ? ([
          {
            name: "Fresh for",
            right: true,
            cell: ({ memory }) => (memory?.state === "fresh" ? duration(memory.freshFor) : ""),
            sort: ({ memory }) => memory?.freshFor ?? 0,
          },
          {
            name: "Size",
            right: true,
            cell: ({ memory }) => (memory === null ? "" : bytes(memory.bytes)),
            sort: ({ memory }) => memory?.bytes ?? 0,
          },
        ] satisfies Column<FoundKey>[])
      : []),
  ];
  return (
    <Panel
      title={`${number(Math.max(found.memory?.entries ?? 0, found.shared.entries))} found`}
      hint={hintOf(found)}
      flush
      aside={
        me.value?.canPurge === true && found.keys.length > 0 ? (
          <a class="button small" href={to("purge", asParams(target))}>
            Purge these…
          </a>
        ) : undefined
      }
    >
      {found.keys.length === 0 ? (
        <Empty title="Nothing is stored under that">
          <p>{notStored(found)}</p>
        </Empty>
      ) : (
        <Table
          label="Entries"
          columns={columns}
          rows={found.keys}
          keyOf={({ key }) => key}
          picked={path}
          onPick={({ key }) => (location.hash = to("keys", { ...asParams(target), path: key }))}
        />
      )}
    </Panel>
  );
}

function hintOf({ memory, shared, keys }: Found): string {
  const parts = [];
  if (memory !== null) parts.push(`${number(memory.entries)} in this process’s memory`);
  if (shared.problem === "none") parts.push("no shared tier");
  else if (shared.problem === "down") parts.push("the shared tier does not answer");
  else if (shared.problem === "unlisted") parts.push("the shared tier cannot list its keys");
  else parts.push(`${shared.complete ? "" : "at least "}${number(shared.entries)} in the shared tier`);
  if (keys.length >= 100) parts.push("the first 100 are shown");
  return parts.join(" · ");
}

function notStored({ target, shared }: Found): string {
  if (shared.problem === "down") return "The shared tier does not answer, and this process’s memory has nothing of it.";
  if (target.kind === "prefix")
    return "A prefix names whole segments: “user:1” names user:1 and user:1:x, not user:12. An entity’s keys begin with its scope: “acme:contact:”.";
  if (target.kind === "tag") return "A scoped entity’s tags are its scope’s: give the scope as well.";
  return "It may be written otherwise: an entity’s key is scope:entity:id:vN.";
}
