import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { AuditLine } from "../../../src/admin/purges.js";
import { api, messageOf } from "../api.js";
import { number, visible } from "../format.js";
import { Code, Empty, Panel, Table, type Column } from "../parts.js";
import { me } from "../state.js";

export function AuditScreen(): JSX.Element {
  const [lines, setLines] = useState<readonly AuditLine[] | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  useEffect(() => {
    let over = false;
    api.audit().then(
      (answer) => !over && setLines(answer.lines),
      (error: unknown) => !over && setProblem(messageOf(error)),
    );
    return () => {
      over = true;
    };
  }, []);
  if (me.value?.canAudit !== true) {
    return (
      <Panel title="Audit">
        <Empty title="Only an admin sees who purged what">
          <p>
            Sign in with the token of an <code>admin</code>.
          </p>
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel title="Purges" hint="made through this process, newest first" flush>
      {problem !== undefined && <p class="error">{problem}</p>}
      {lines?.length === 0 && (
        <Empty title="Nothing was purged from here">
          <p>
            Every purge is written down, before it runs and after, with who, what was previewed and what was hit. To
            keep the lines:
          </p>
          <Code>{'createAdmin(cache, { audit: (line) => appendFileSync("audit.ndjson", line) })'}</Code>
        </Empty>
      )}
      {lines !== undefined && lines.length > 0 && (
        <Table
          label="Audit"
          columns={COLUMNS}
          rows={lines}
          keyOf={({ time, event, marks }) => `${time}${event}${marks.join()}`}
        />
      )}
    </Panel>
  );
}

const EVENTS = { "purge-started": "started", "purge-done": "done", "purge-failed": "failed" } as const;

const COLUMNS: readonly Column<AuditLine>[] = [
  { name: "Time", cell: ({ time }) => <span class="mono">{time.replace("T", " ").slice(0, 19)}</span> },
  { name: "Who", cell: ({ actor }) => visible(actor) },
  { name: "What", class: "key-cell", cell: ({ marks }) => <bdi class="mono">{visible(marks.join(", "))}</bdi> },
  { name: "How", cell: ({ soft }) => (soft ? <span class="pill stale">soft</span> : <span class="pill">hard</span>) },
  { name: "", cell: ({ event }) => (event === "purge-failed" ? <span class="bad-text">failed</span> : EVENTS[event]) },
  {
    name: "Previewed",
    right: true,
    title: "In this process’s memory / in the shared tier",
    cell: ({ previewed }) => `${count(previewed.memory)} / ${count(previewed.shared)}`,
  },
  {
    name: "Hit",
    right: true,
    title: "In this process’s memory the moment before",
    cell: ({ actual, error }) => (error === undefined ? count(actual?.memory) : error),
  },
];

function count(n: number | undefined): string {
  return n === undefined ? "–" : number(n);
}
