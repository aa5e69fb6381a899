import { readdirSync, readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import type { CacheEventType, MissReason } from "../src/index.js";
import { alertRules } from "../src/telemetry/alert-rules.js";
import { METRICS } from "../src/telemetry/metrics.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const sources = (folder: string): string =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => read(`${folder}/${file}`))
    .join("\n");

const PAGES = ["docs/operate/runbooks.md", "docs/operate/checklist.md"];
const text = PAGES.map(read).join("\n");
/** What is set as code, in a line. */
const codes = [...text.replace(/```[\s\S]*?```/g, "").matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
const unique = (all: Iterable<string>): string[] => [...new Set(all)].toSorted();

describe("docs/operate", () => {
  it("names metrics that there are", () => {
    const named = unique([...text.matchAll(/\bcache_[a-z_]+/g)].map(([name]) => name));
    const known: string[] = Object.values(METRICS).map(({ name }) => name);
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it("has each alert in one section, and no other", () => {
    const alerts = [...alertRules().matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
    const sections = read("docs/operate/runbooks.md").split("\n## ").slice(1);
    const homes = (alert: string): number =>
      sections.filter((one) => /\*\*You see\*\*[\s\S]*?\n\n/.exec(one)?.[0].includes(`\`${alert}\``)).length;
    expect(alerts.filter((alert) => homes(alert) !== 1)).toEqual([]);
    const named = unique([...text.matchAll(/`(Cache[A-Z]\w+)`/g)].map(([, name = ""]) => name));
    expect(named.filter((name) => !alerts.includes(name))).toEqual([]);
  });

  it("names options and functions that there are", () => {
    const all = sources("src");
    const identifiers = unique(
      codes
        .flatMap((code) => /^([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)*)(?:$|[:(])/.exec(code)?.[1]?.split(".") ?? [])
        .filter((name) => /[a-z][A-Z]/.test(name)),
    );
    expect(identifiers.length).toBeGreaterThan(10);
    const declared = (name: string): boolean => new RegExp(String.raw`\b${name}(?:\?:|\(|<)`).test(all);
    expect(identifiers.filter((name) => !declared(name))).toEqual([]);
  });

  it("names reasons of misses and events that there are", () => {
    const reasons: Record<
      Extract<MissReason, "cold" | "expired" | "evicted" | "invalidated-tag" | "version" | "error" | "suspect">,
      true
    > = {
      cold: true,
      expired: true,
      evicted: true,
      "invalidated-tag": true,
      version: true,
      error: true,
      suspect: true,
    };
    for (const reason of Object.keys(reasons)) expect(codes).toContain(reason);
    const events: Record<string, CacheEventType> = Object.fromEntries(
      [...sources("src").matchAll(/readonly type: "([\w-]+)"/g)].map(([, type = ""]) => [type, type as CacheEventType]),
    );
    const asked = unique([...text.matchAll(/--type ([\w,-]+)/g)].flatMap(([, types = ""]) => types.split(",")));
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((type) => events[type] === undefined)).toEqual([]);
  });

  it("runs commands with flags that there are", () => {
    const lines = [...text.matchAll(/npx tiercache (\w+)([^\n#]*)/g)];
    expect(lines.length).toBeGreaterThan(15);
    const shared = read("src/cli/reach-options.ts");
    const files = readdirSync(new URL("src/cli/commands/", root)).map((file) => read(`src/cli/commands/${file}`));
    for (const [line, command = "", rest = ""] of lines) {
      const home = files.find((file) => new RegExp(String.raw`\.command\("${command}[" ]`).test(file)) ?? "";
      expect([line, home !== ""]).toEqual([line, true]);
      const reach = home.includes("addReachOptions") ? shared : "";
      for (const [flag] of rest.matchAll(/--[a-z-]+/g))
        expect([line, flag, (home + reach).includes(`"${flag}`)]).toEqual([line, flag, true]);
    }
  });

  it("names checks that doctor makes", () => {
    const doctor = sources("src/cli/doctor") + sources("src/admin/doctor");
    const rows = [...read("docs/operate/checklist.md").matchAll(/^\| [^|]+\| [^|]+\| (`[^|]+) \|/gm)];
    const named = rows.flatMap(([, cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !new RegExp(`["\`]${name}(?:["\`]| \\$\\{)`).test(doctor))).toEqual([]);
  });
});
