import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Examination } from "../../../src/admin/doctor/doctor.js";
import { api, messageOf } from "../api.js";
import { clock, duration, plural, visible } from "../format.js";
import { Code, Dot, Empty, Panel } from "../parts.js";
import { cacheName } from "../state.js";

type Finding = Examination["findings"][number];

const AREAS: Readonly<Record<Finding["area"], string>> = {
  code: "Code",
  entries: "Entries",
  processes: "Processes",
  redis: "Redis",
  postgres: "PostgreSQL",
  fallback: "Fallback",
};
const TONES = { fail: "bad", warn: "warn", ok: "good", skipped: "idle" } as const;
const LEVELS = { fail: "to mend", warn: "to look at", ok: "as it should be", skipped: "not looked at" } as const;

export function DoctorScreen(): JSX.Element {
  const name = cacheName.value;
  const [found, setFound] = useState<Examination | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [again, setAgain] = useState(0);
  useEffect(() => {
    let over = false;
    api.doctor(name).then(
      (answer) => {
        if (over) return;
        setFound(answer);
        setProblem(undefined);
      },
      (error: unknown) => !over && setProblem(messageOf(error)),
    );
    return () => {
      over = true;
    };
  }, [name, again]);
  const all = found?.cache === name ? found.findings : undefined;
  const of = (level: Finding["level"]): readonly Finding[] => all?.filter((finding) => finding.level === level) ?? [];
  const bad = [...of("fail"), ...of("warn")];
  return (
    <>
      <Panel
        title="Findings"
        hint={found && `looked at ${clock(found.at)}, took ${duration(found.took)}; nothing is changed by looking`}
        flush
        aside={
          <button type="button" class="button small" onClick={() => setAgain(again + 1)}>
            Look again
          </button>
        }
      >
        {problem !== undefined && (
          <p class="error padded" role="alert">
            {problem}
          </p>
        )}
        {all === undefined && problem === undefined && (
          <Empty title="Looking">
            <p>The code, a sample of the entries, what processes report, and the server if it may be asked.</p>
          </Empty>
        )}
        {all !== undefined && bad.length === 0 && (
          <Empty title="Nothing found">
            <p>
              {plural(of("ok").length, "check")} found nothing to mend.
              {of("skipped").length > 0 && " What was not looked at is listed below, with how it would be."}
            </p>
          </Empty>
        )}
        {bad.length > 0 && (
          <ul class="findings">
            {bad.map((finding) => (
              <FindingItem key={`${finding.area}-${finding.check}`} finding={finding} />
            ))}
          </ul>
        )}
      </Panel>
      <Rest title="Not looked at" findings={of("skipped")} />
      <Rest title="As it should be" findings={of("ok")} />
    </>
  );
}

function FindingItem(props: { readonly finding: Finding }): JSX.Element {
  const { area, check, level, message, why, fix } = props.finding;
  return (
    <li>
      <h3>
        <Dot tone={TONES[level]} />
        <span class={`pill ${TONES[level]}`}>{LEVELS[level]}</span>
        {check}
        <small class="muted">{AREAS[area]}</small>
      </h3>
      <Part name="What">{visible(message)}</Part>
      {why !== undefined && <Part name="Why it matters">{why}</Part>}
      {fix !== undefined && (
        <Part name="Next step">
          <Code>{visible(fix)}</Code>
        </Part>
      )}
    </li>
  );
}

function Part(props: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class="finding-part">
      <span class="muted">{props.name}</span>
      <div>{props.children}</div>
    </div>
  );
}

/** Findings that need nothing done, one on a line. */
function Rest(props: { readonly title: string; readonly findings: readonly Finding[] }): JSX.Element | null {
  if (props.findings.length === 0) return null;
  return (
    <Panel title={props.title} hint={plural(props.findings.length, "check")} flush>
      <ul class="checks">
        {props.findings.map(({ area, check, level, message, fix }) => (
          <li key={`${area}-${check}`}>
            <Dot tone={TONES[level]} label={LEVELS[level]} />
            <b>{AREAS[area]}</b>
            <span>{check}</span>
            <span class="muted">
              {visible(message)}
              {level === "skipped" && fix !== undefined && (
                <>
                  : <code>{fix}</code>
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
