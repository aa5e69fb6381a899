import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { checkRules, startPrometheus, type PrometheusServer } from "../../scripts/servers/prometheus.js";
import { createCache, memory, type Cache, type Entity, type WriteBehind } from "../../src/index.js";
import { MemoryFeed, MemoryJournal, MemorySource, SharedMemory } from "../../src/testing/index.js";
import { seriesNames } from "../../src/telemetry/metrics.js";
import { alertRules, grafanaDashboard, prometheus } from "../../src/telemetry/prometheus.js";
import { programOf, type NeededProgram } from "../support/private-server.js";

const PROMETHEUS: NeededProgram = {
  variable: "TIERCACHE_PROMETHEUS",
  name: "prometheus",
  versionFlag: "--version",
  advice: "the package `prometheus`",
};
const PROMTOOL: NeededProgram = { ...PROMETHEUS, variable: "TIERCACHE_PROMTOOL", name: "promtool" };
/** How long an answer of a server that scrapes once a second may take; milliseconds. */
const PATIENCE = 30_000;

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { readonly metric: object; readonly value: readonly [number, string] }[] };
}

const rules = [...alertRules().matchAll(/^ {6}- alert: (\w+)\n {8}expr: (.*)$/gm)].map(
  ([, alert = "", expr = '""']) => ({ alert, expr: JSON.parse(expr) as string }),
);
const panels = grafanaDashboard().panels.flatMap(({ title, targets }) =>
  targets.map(({ legendFormat, expr }) => ({ panel: `${title}: ${legendFormat}`, expr: filledIn(expr) })),
);

let server: PrometheusServer;
let scraped: Server;
let caches: readonly Cache[];
let users: Entity<number, string>;
let visits: WriteBehind<string, number>;
let rounds = 0;
let close: () => Promise<void>;

beforeAll(async () => {
  const registry = new Registry();
  const metrics = prometheus({ registry, compatible: true });
  const shared = new SharedMemory();
  const source = new MemorySource({ refuses: ({ id }) => (id === "refused" ? "no such page" : undefined) });
  const feed = new MemoryFeed();
  const one = createCache({
    name: "crm",
    tiers: [memory({ maxBytes: "1mb" }), shared.factory()],
    staleness: true,
    feed,
  });
  const two = createCache({ name: "crm", tiers: [memory(), shared.factory()] });
  caches = [one, two];
  metrics.watch(one);
  visits = one.writeBehind<string, number>({
    name: "visits",
    journal: new MemoryJournal().journal(),
    sink: source.sink(),
    load: async () => 0,
    flushEvery: "100ms",
  });
  users = one.entity<number, string>({ name: "user", load: async (id) => `user ${id}`, staleWhileRevalidate: "1m" });
  scraped = createServer((_, response) => {
    registry.metrics().then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => scraped.listen(0, "127.0.0.1", resolve));
  const { port } = scraped.address() as AddressInfo;
  server = await startPrometheus(programOf(PROMETHEUS), { targets: [port], rules: alertRules() });
  close = async () => {
    metrics.close();
    await Promise.all(caches.map((cache) => cache.close()));
  };
});

afterAll(async () => {
  await server?.stop();
  if (scraped?.listening) await new Promise((resolve) => scraped.close(resolve));
  await close?.();
});

describe("a real Prometheus", () => {
  it("has scraped every metric of the catalogue that a dashboard or a rule asks for", async () => {
    await traffic();
    const wanted = seriesNames().filter((name) => [...panels, ...rules].some(({ expr }) => expr.includes(name)));
    expect(wanted.length).toBeGreaterThan(20);
    // Those of a feed in a database's log.
    const absent = ["cache_feed_lag_bytes", "cache_feed_retained_bytes"];
    const known = await until(
      async () => {
        await traffic();
        return (await ask<{ data: string[] }>("label/__name__/values")).data;
      },
      (names) => wanted.every((name) => absent.includes(name) || names.includes(name)),
    );
    expect(known).toEqual(expect.arrayContaining(wanted.filter((name) => !absent.includes(name))));
    expect(known).toContain("cache_hits_total");
  });

  it("answers the query of every panel, with the names and labels that are there", async () => {
    const silent: string[] = [];
    for (const { panel, expr } of panels) {
      const { status, error } = await query(expr);
      expect(`${panel}: ${error ?? status}`).toBe(`${panel}: success`);
      if (!(await answers(expr))) silent.push(panel);
    }
    // A feed in memory has no log of a database.
    expect(silent).toEqual(["Change feed: behind (bytes)", "Change feed: retained (bytes)"]);
  }, 60_000);

  it("asks in every panel and rule for names of the catalogue only", () => {
    const names = new Set(seriesNames());
    for (const { expr } of [...panels, ...rules])
      for (const [name] of expr.matchAll(/\bcache_\w+/g)) expect(names).toContain(name);
  });

  it("evaluates every rule, and raises the one whose time has come", async () => {
    expect(await checkRules(programOf(PROMTOOL), alertRules())).toMatch(`SUCCESS: ${rules.length} rules found`);
    interface Rules {
      data: { groups: { rules: { name: string; health: string; lastError?: string; state: string }[] }[] };
    }
    const evaluated = await until(
      async () => (await ask<Rules>("rules?type=alert")).data.groups.flatMap((group) => group.rules),
      (found) => found.length === rules.length && found.every(({ health }) => health !== "unknown"),
    );
    expect(evaluated.map(({ name, health, lastError }) => [name, health, lastError])).toEqual(
      rules.map(({ alert }) => [alert, "ok", undefined]),
    );
    await visits.put("refused", 1);
    const pending = await until(
      async () => (await ask<Rules>("rules?type=alert")).data.groups.flatMap((group) => group.rules),
      (found) => found.some(({ name, state }) => name === "CacheDeadLetters" && state !== "inactive"),
    );
    expect(pending.find(({ name }) => name === "CacheDeadLetters")?.state).not.toBe("inactive");
  });
});

/** Some of everything that is counted. */
async function traffic(): Promise<void> {
  rounds += 1;
  const [one, two] = caches as [Cache, Cache];
  await two.set(`k${rounds}`, "v");
  await one.get(`k${rounds}`);
  await one.get(`k${rounds}`);
  await Promise.all([users.get(rounds), users.get(rounds)]);
  for (let n = 0; n < 2_000; n += 1) await users.get(rounds);
  await users.refresh(1);
  await one.getOrLoad("down", () => Promise.reject(new Error("down"))).catch(() => undefined);
  await one.getOrLoad(`skip${rounds}`, ({ skip }) => {
    skip();
    return 1;
  });
  await one.invalidate({ tag: "t" });
  await two.invalidate({ tag: "t" });
  await visits.put("home", rounds);
}

/** Whether the server has an answer to the query before long; more is counted meanwhile. */
async function answers(expr: string): Promise<boolean> {
  const absent = /feed_(?:lag|retained)_bytes/.test(expr);
  const found = await until(
    async () => {
      await traffic();
      return (await query(expr)).data.result.filter(({ value: [, text] }) => text !== "NaN");
    },
    (result) => absent || result.length > 0,
    absent ? 0 : PATIENCE,
  );
  return found.length > 0;
}

/** Grafana's variables, as they are by default. */
function filledIn(expr: string): string {
  return expr.replaceAll("$cache", ".*").replaceAll("$entity", ".*").replaceAll("$__rate_interval", "1m");
}

function query(expr: string): Promise<Answer> {
  return ask(`query?query=${encodeURIComponent(expr)}`);
}

async function ask<T>(path: string): Promise<T> {
  return (await fetch(`${server.url}/api/v1/${path}`)).json() as Promise<T>;
}

/** Asks again until the answer is right, or time is over; then the last answer. */
async function until<T>(read: () => Promise<T>, isRight: (answer: T) => boolean, patience = PATIENCE): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await read();
    if (isRight(answer) || Date.now() >= deadline) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
