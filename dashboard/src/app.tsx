import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { checksOf, worst } from "./health.js";
import { Dot, Empty } from "./parts.js";
import { AuditScreen } from "./screens/audit.js";
import { DoctorScreen } from "./screens/doctor.js";
import { HealthScreen } from "./screens/health.js";
import { HotScreen } from "./screens/hot.js";
import { InvalidationsScreen } from "./screens/invalidations.js";
import { KeysScreen } from "./screens/keys.js";
import { MemoryScreen } from "./screens/memory.js";
import { MissesScreen } from "./screens/misses.js";
import { OverviewScreen } from "./screens/overview.js";
import { PurgeScreen } from "./screens/purge.js";
import { SourceScreen } from "./screens/source.js";
import {
  cache,
  cacheName,
  choose,
  connected,
  failing,
  me,
  overview,
  paused,
  phase,
  problem,
  processes,
  route,
  scope,
  setTheme,
  signIn,
  start,
  theme,
  to,
  type Theme,
} from "./state.js";

interface Screen {
  readonly id: string;
  readonly name: string;
  readonly group: "" | "Look" | "Tune" | "Act";
  readonly show: () => JSX.Element;
}

const SCREENS: readonly Screen[] = [
  { id: "overview", name: "Overview", group: "", show: () => <OverviewScreen /> },
  { id: "health", name: "Health", group: "", show: () => <HealthScreen /> },
  { id: "doctor", name: "Doctor", group: "", show: () => <DoctorScreen /> },
  { id: "keys", name: "Keys", group: "Look", show: () => <KeysScreen /> },
  { id: "misses", name: "Why a miss", group: "Look", show: () => <MissesScreen /> },
  { id: "hot", name: "Hot keys", group: "Look", show: () => <HotScreen /> },
  { id: "invalidations", name: "Invalidations", group: "Look", show: () => <InvalidationsScreen /> },
  { id: "memory", name: "Memory", group: "Tune", show: () => <MemoryScreen /> },
  { id: "source", name: "Source and feed", group: "Tune", show: () => <SourceScreen /> },
  { id: "purge", name: "Purge", group: "Act", show: () => <PurgeScreen /> },
  { id: "audit", name: "Audit", group: "Act", show: () => <AuditScreen /> },
];
const GROUPS = ["", "Look", "Tune", "Act"] as const;

export function App(): JSX.Element {
  switch (phase.value) {
    case "starting":
      return <main class="gate" aria-busy="true" />;
    case "signed-out":
      return <SignIn />;
    case "unreachable":
      return (
        <main class="gate">
          <div class="gate-box">
            <Logo />
            <Empty title="The process does not answer">
              <p>{problem.value}</p>
              <p>Is it still running? It prints its address when it starts.</p>
              <button type="button" class="button" onClick={() => void start()}>
                Try again
              </button>
            </Empty>
          </div>
        </main>
      );
    case "ready":
      return <Frame />;
  }
}

function Frame(): JSX.Element {
  const { screen } = route.value;
  const shown = SCREENS.find(({ id }) => id === screen) ?? SCREENS[0];
  const links = useRef<HTMLElement>(null);
  // On a phone the links are one line, which is longer than the screen.
  useEffect(
    () => links.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }),
    [shown],
  );
  return (
    <div class="frame">
      <a class="skip" href="#main">
        To the content
      </a>
      <nav class="side" aria-label="Screens" ref={links}>
        <Logo />
        {GROUPS.map((group) => (
          <div class="nav-group" key={group}>
            {group !== "" && <div class="nav-title">{group}</div>}
            {SCREENS.filter((one) => one.group === group && (one.id !== "audit" || me.value?.canAudit === true)).map(
              ({ id, name }) => (
                <a
                  key={id}
                  href={to(id)}
                  class={shown?.id === id ? "on" : ""}
                  aria-current={shown?.id === id ? "page" : undefined}
                >
                  {name}
                  {id === "health" && <HealthDot />}
                </a>
              ),
            )}
          </div>
        ))}
      </nav>
      <div class="page">
        <TopBar title={shown?.name ?? ""} />
        <Banner />
        <main id="main" tabIndex={-1}>
          {cache.value === undefined || overview.value === undefined ? (
            <div class="loading" aria-busy="true" />
          ) : (
            shown?.show()
          )}
        </main>
      </div>
    </div>
  );
}

function Logo(): JSX.Element {
  return (
    <div class="logo">
      <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
        <rect x="3" y="19" width="26" height="8" rx="2.5" fill="var(--memory)" />
        <rect x="6.5" y="11.5" width="19" height="6" rx="2" fill="var(--shared)" />
        <rect x="10" y="5" width="12" height="5" rx="1.75" fill="var(--stale)" />
      </svg>
      tiercache
    </div>
  );
}

function HealthDot(): JSX.Element | null {
  const facts = cache.value;
  const now = overview.value;
  if (facts === undefined || now === undefined) return null;
  const tone = worst(checksOf(facts, now));
  return tone === "good" ? null : (
    <Dot tone={tone} label={tone === "bad" ? "something is wrong" : "something needs a look"} />
  );
}

const THEMES: readonly Theme[] = ["auto", "light", "dark"];

function TopBar(props: { readonly title: string }): JSX.Element {
  const all = processes.value;
  const environment = me.value?.environment ?? "";
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "auto";
  return (
    <header class="top">
      <h1>{props.title}</h1>
      <div class="top-right">
        {(me.value?.caches.length ?? 0) > 1 ? (
          <label class="pick">
            <span>Cache</span>
            <select value={cacheName.value} onChange={(event) => void choose(event.currentTarget.value)}>
              {me.value?.caches.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        ) : (
          <span class="pick only">
            <span>Cache</span>
            {cacheName.value}
          </span>
        )}
        <label class="pick">
          <span>Process</span>
          <select value={scope.value} onChange={(event) => (scope.value = event.currentTarget.value)}>
            <option value="all">{all.length === 1 ? "this one" : `all ${all.length} processes`}</option>
            {all.length > 1 &&
              all.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                  {id === cache.value?.self ? " (this one)" : ""}
                </option>
              ))}
          </select>
        </label>
        <span class={`badge ${/^prod/i.test(environment) ? "prod" : ""}`}>{environment}</span>
        <button
          type="button"
          class="live"
          aria-pressed={!paused.value}
          title={paused.value ? "Paused: press to go on" : "Live: press to pause"}
          onClick={() => (paused.value = !paused.value)}
        >
          <i class={`pulse ${connected.value && !paused.value ? "on" : ""}`} />
          {liveText()}
        </button>
        <button
          type="button"
          class="icon"
          title={`Theme: ${theme.value}. Press for ${next}`}
          aria-label={`Theme: ${theme.value}`}
          onClick={() => setTheme(next)}
        >
          {{ auto: "◐", light: "○", dark: "●" }[theme.value]}
        </button>
      </div>
    </header>
  );
}

function liveText(): string {
  if (paused.value) return "Paused";
  return connected.value ? "Live" : "Lost";
}

/** What everybody must know, whichever screen they are on. */
function Banner(): JSX.Element | null {
  const tier = overview.value?.shared;
  if (!connected.value && phase.value === "ready") {
    return (
      <div class="banner warn" role="status">
        The process does not answer: what is shown is as it was. Trying again.
      </div>
    );
  }
  if (tier !== undefined && !tier.up) {
    return (
      <div class="banner bad" role="alert">
        <b>{cache.value?.tiers.shared ?? tier.kind} does not answer.</b> Reads go on from memory and the loaders; this
        process is all that can be shown. <a href={to("health")}>What to look at</a>
      </div>
    );
  }
  if (failing.value && cache.value?.processes === true) {
    return (
      <div class="banner warn" role="status">
        Reports of other processes cannot be read: the shared tier did not answer the last time.
      </div>
    );
  }
  return null;
}

function SignIn(): JSX.Element {
  const [token, setToken] = useState("");
  const [tried, setTried] = useState(false);
  return (
    <main class="gate">
      <form
        class="gate-box"
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          void signIn(token.trim());
        }}
      >
        <Logo />
        <h1>Sign in</h1>
        <p class="muted">
          Open the link as it was printed where this was started (it ends in <code>#token=…</code>), or paste its token.
        </p>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        {tried && (
          <p class="error" role="alert">
            That token is not known here.
          </p>
        )}
        <button type="submit" class="button primary" disabled={token.trim() === ""}>
          Sign in
        </button>
      </form>
    </main>
  );
}
