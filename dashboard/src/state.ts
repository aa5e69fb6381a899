import { computed, signal } from "@preact/signals";
import { mergeReports, type Overview } from "../../src/admin/merge.js";
import type { Miss, Note, ProcessReport } from "../../src/admin/report.js";
import { api, ApiError, messageOf, type CacheFacts, type Me, type Reports } from "./api.js";
import { History } from "./history.js";

/** What the page knows; every screen is a fold over it. */

export type Phase = "starting" | "signed-out" | "ready" | "unreachable";
export type Theme = "auto" | "light" | "dark";

export const phase = signal<Phase>("starting");
export const problem = signal<string>("");
export const me = signal<Me | undefined>(undefined);
export const cacheName = signal<string>("");
/** `all`, or the id of a process. */
export const scope = signal<string>("all");
export const connected = signal(false);
export const paused = signal(false);
export const failing = signal(false);
/** Rises with every message: what is drawn from the history asks for it. */
const tick = signal(0);
export const theme = signal<Theme>(storedTheme());
export const route = signal(readRoute());

export const history: History = new History();
const reports = signal<ReadonlyMap<string, ProcessReport>>(new Map());

/** Notes and misses a page keeps of each process. */
const NOTES = 400;
/** A process that has not reported for so long is gone; milliseconds. */
const GONE = 12_000;

export const cache = computed<CacheFacts | undefined>(() =>
  me.value?.caches.find(({ name }) => name === cacheName.value),
);
export const processes = computed(() =>
  Array.from(reports.value.values(), ({ process, at }) => ({ ...process, at })).sort((a, b) =>
    a.name.localeCompare(b.name),
  ),
);
const inScope = computed(() =>
  [...reports.value.values()].filter(({ process }) => scope.value === "all" || process.id === scope.value),
);
export const ids = computed(() => inScope.value.map(({ process }) => process.id));
export const overview = computed<Overview | undefined>(() => mergeReports(inScope.value));

export interface Route {
  readonly screen: string;
  readonly params: URLSearchParams;
}

export function readRoute(): Route {
  const [screen = "", params = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { screen: screen === "" ? "overview" : screen, params: new URLSearchParams(params) };
}

/** Has whoever calls it drawn anew with every message. */
export function everyTick(): number {
  return tick.value;
}

/** The address of a screen. */
export function to(screen: string, params: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const text = new URLSearchParams(given).toString();
  return `#/${screen}${text === "" ? "" : `?${text}`}`;
}

/** The address of everything that is known of one entry. */
export function entryAddress(path: string): string {
  return to("keys", { kind: "key", text: path, canonical: "true", path });
}

export function setTheme(value: Theme): void {
  theme.value = value;
  applyTheme();
  try {
    localStorage.setItem("tiercache-theme", value);
  } catch {
    // Without a store it holds for this page.
  }
}

export function applyTheme(): void {
  const { value } = theme;
  if (value === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = value;
}

/** Takes the token out of the address, exchanges it for a cookie, and begins. */
export async function start(): Promise<void> {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token !== undefined) {
    globalThis.history.replaceState(null, "", `${location.pathname}${location.search}#/`);
    route.value = readRoute();
    await signIn(decodeURIComponent(token));
    return;
  }
  await enter();
}

export async function signIn(token: string): Promise<void> {
  try {
    await api.signIn(token);
    await enter();
  } catch (error) {
    refused(error);
  }
}

async function enter(): Promise<void> {
  try {
    const facts = await api.me();
    me.value = facts;
    const wanted = sessionItem("tiercache-cache");
    const first = facts.caches.find(({ name }) => name === wanted) ?? facts.caches[0];
    phase.value = "ready";
    listen();
    if (first !== undefined) await choose(first.name);
  } catch (error) {
    refused(error);
  }
}

/** Looks at another cache. */
export async function choose(name: string): Promise<void> {
  cacheName.value = name;
  scope.value = "all";
  history.clear();
  reports.value = new Map();
  await refetch();
}

async function refetch(): Promise<void> {
  const name = cacheName.value;
  try {
    const answer = await api.reports(name);
    if (name === cacheName.value) receive(answer);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) refused(error);
  }
}

function refused(error: unknown): void {
  const isSignedOut = error instanceof ApiError && error.status === 401;
  problem.value = messageOf(error);
  phase.value = isSignedOut ? "signed-out" : "unreachable";
}

let source: EventSource | undefined;

function listen(): void {
  source?.close();
  const events = new EventSource("api/live");
  source = events;
  events.addEventListener("open", () => {
    connected.value = true;
  });
  events.addEventListener("error", () => {
    connected.value = false;
    // A stream that was refused does not try again by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3_000);
  });
  events.addEventListener("reset", () => {
    history.clear();
    void refetch();
  });
  events.addEventListener("reports", (event) => {
    const data = JSON.parse((event as MessageEvent<string>).data) as Reports;
    if (data.cache === cacheName.value && !paused.value) receive(data);
  });
}

function receive(data: Reports): void {
  const known = new Map(reports.value);
  let newest = 0;
  for (const report of data.reports) {
    const { id } = report.process;
    known.set(id, joined(known.get(id), report));
    history.add(report);
    newest = Math.max(newest, report.at);
  }
  for (const [id, { at }] of known) if (newest - at > GONE && id !== cache.value?.self) known.delete(id);
  reports.value = known;
  failing.value = data.failing;
  tick.value += 1;
}

/** A message has what is new of notes, misses and minutes. */
function joined(before: ProcessReport | undefined, report: ProcessReport): ProcessReport {
  if (before === undefined) return report;
  const minutes = new Map([...before.minutes, ...report.minutes].map((sample) => [sample[0], sample]));
  const misses = report.sampled && merged<Miss>(before.sampled?.misses ?? [], report.sampled.misses);
  return {
    ...report,
    minutes: [...minutes.values()].sort((a, b) => a[0] - b[0]).slice(-180),
    notes: merged<Note>(before.notes, report.notes),
    sampled: report.sampled && { ...report.sampled, misses: misses ?? [] },
  };
}

function merged<T extends { readonly number: number }>(before: readonly T[], after: readonly T[]): readonly T[] {
  const last = before.at(-1)?.number ?? 0;
  return [...before, ...after.filter(({ number }) => number > last)].slice(-NOTES);
}

function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem("tiercache-theme");
    return stored === "light" || stored === "dark" ? stored : "auto";
  } catch {
    return "auto";
  }
}

function sessionItem(name: string): string | null {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}
