import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CacheError } from "./errors.js";
import { MAX_KEY_LENGTH, encodeEntityKey, encodeKey, inNamespace, namespacePath } from "./keys.js";
import type { KeyInput, Segment } from "./keys.js";
import { Pattern, encodePattern, pattern, patternMatcher } from "./patterns.js";
import type { PatternInput } from "./patterns.js";

const matches = (input: PatternInput, key: KeyInput): boolean => patternMatcher(encodePattern(input))(encodeKey(key));

function refusal(act: () => unknown): CacheError {
  try {
    act();
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_KEY") return error;
    throw error;
  }
  throw new Error("Expected a refusal");
}

// The meaning of a pattern, on unencoded segments: tries every way, however long it takes.

function modelMatches(pieces: readonly string[], segments: readonly (string | number)[]): boolean {
  const [piece, ...rest] = pieces;
  if (piece === undefined) return segments.length === 0;
  if (piece === "*" && rest.length === 0) return segments.length > 0;
  if (/^\*\*+$/.test(piece))
    return segments.some((_, i) => modelMatches(rest, segments.slice(i))) || modelMatches(rest, []);
  const [segment, ...others] = segments;
  return segment !== undefined && modelSegmentMatches(piece, segment) && modelMatches(rest, others);
}

function modelSegmentMatches(piece: string, segment: string | number): boolean {
  if (!piece.includes("*")) return segment === (String(Number(piece)) === piece ? Number(piece) : piece);
  const runs = piece.split("*").map((run) => run.replaceAll(/[/\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  return new RegExp(`^${runs.join(String.raw`[\s\S]*`)}$`, "u").test(String(segment));
}

describe("encodePattern", () => {
  it.each<[PatternInput, string]>([
    ["user:*:orders", "user:*:orders"],
    ["user:123:*", "user:123:*"],
    ["a**b:c***", "a*b:c*"],
    ["a:***:**:b", "a:**:b"],
    ["user:a b*:v2:v*", "user:a%20b*:'v2:v*"],
    ["search:page=*:query=lap*:=x*", "search:page=*:query=lap*:%3Dx*"],
    ["q=**:a", "q=*:a"],
    ["%2A:*", "%252A:*"],
    [pattern`user:${"*"}:*`, "user:%2A:*"],
    [pattern`user:${"**"}:**:${"1"}`, "user:%2A%2A:**:'1"],
    [pattern`user:${"a:b"}:page=${2}:*`, "user:a%3Ab:page=2:*"],
    [pattern`${{ a: 1, b: "*" }}:*`, "a=1:b=%2A:*"],
  ])("encodes %s as %s", (input, text) => {
    expect(encodePattern(input)).toBe(text);
  });

  it.each(["*", "**", "*:*", "***", "*:**:*"])("refuses %s, made only of stars", (text) => {
    expect(refusal(() => encodePattern(text)).message).toMatch(/more than stars \(use `\{ all: true \}`/);
  });

  it("refuses what is no pattern", () => {
    for (const bad of ["", undefined, 7, ["a", "*"], /a/])
      expect(refusal(() => encodePattern(bad as string)).message).toMatch(/the pattern to be text/);
    expect(refusal(() => encodePattern("x".repeat(MAX_KEY_LENGTH + 1))).message).toMatch(/pattern to be at most 65536/);
    expect(refusal(() => encodePattern("a b*", 5)).message).toMatch(/at most 5 .* got 6/);
    expect(refusal(() => encodePattern(pattern`${"a b"}:*`, 6)).message).toMatch(/at most 6 .* got 7/);
    expect(refusal(() => pattern`**:*`).message).toMatch(/more than stars/);
    expect(refusal(() => pattern`a*${1}`).message).toMatch(/value 1 of the pattern to be a whole segment/);
    expect(refusal(() => pattern`a:${"*"}*`).message).toMatch(/value 1 of the pattern to be a whole segment/);
  });

  it("makes frozen patterns that read as their text", () => {
    const made = pattern`user:${1}:*`;
    expect(made).toBeInstanceOf(Pattern);
    expect(Object.isFrozen(made)).toBe(true);
    expect(String(made)).toBe("user:1:*");
  });
});

describe("patternMatcher", () => {
  it.each<[PatternInput, KeyInput, boolean]>([
    ["user:*:orders", "user:1:orders", true],
    ["user:*:orders", "user::orders", true],
    ["user:*:orders", "user:1:2:orders", false],
    ["user:*:orders", "user:1:orders:x", false],
    ["user:*:orders", ["user", "1:orders", "orders"], true],
    ["user:*:orders", ["user", "1:orders"], false],
    ["user:123:*", "user:123:a", true],
    ["user:123:*", "user:123:a:b", true],
    ["user:123:*", "user:123", false],
    ["user:123:*", "user:1234:a", false],
    ["user:123:*", ["user", "123", "a"], false],
    [pattern`user:${"123"}:*`, ["user", "123", "a"], true],
    ["user:123:**", "user:123", true],
    ["user:**:orders", "user:orders", true],
    ["user:**:orders", "user:1:2:orders", true],
    ["**:orders", "orders", true],
    ["**:orders", "user:orders:x", false],
    ["user:1*", "user:12", true],
    ["user:1*", ["user", "12"], true],
    ["user:1*", "user:12:x", false],
    ["user:a*c*e", "user:abcde", true],
    ["user:a*c*e", "user:aced", false],
    ["user:ab*ba", "user:aba", false],
    ["user:v*", "user:v2", true],
    ["user:v2", "user:v2", true],
    ["user:*0b", "user:a b", false],
    ["user:*0*b", "user:a b", false],
    ["user:*0*b", "user:a 0b", true],
    ["user:*8*", ["user", "\ud83d"], false],
    ["user:*D", ["user", "\ud83d"], false],
    ["user:*8*", ["user", "\ud83d8"], true],
    ["user:a*bc*cd", "user:abcd", false],
    ["user:a*bc*cd", "user:abccd", true],
    ["user:x*a*a*", "user:xa", false],
    ["user:x*a*a*", "user:xaa", true],
    ["user:*:x", ["user", "a b:%", "x"], true],
    ["GET:*/users", "GET:/users", true],
    ["GET:*/users", "GET:/v1/users", true],
    ["mail:*@x.org", ["mail", "@x.org"], true],
    ["search:page=*", ["search", { page: 1 }], true],
    ["search:page=1*", ["search", { page: "12" }], true],
    ["search:page=*:query=lap*", ["search", { query: "laptop", page: 2 }], true],
    ["search:page=*:query=lap*", ["search", { query: "desk", page: 2 }], false],
    ["search:page*", ["search", "page=1"], true],
    ["search:page=*", ["search", "page=1"], false],
    ["search:ids=*7*", ["search", { ids: ["7", 8] }], true],
    ["a?c:*", "abc:x", false],
    ["a.c:*", "abc:x", false],
  ])("%s on %o: %s", (input, key, expected) => {
    expect(matches(input, key)).toBe(expected);
  });

  it("agrees with a model that tries every way", () => {
    const char = fc.constantFrom("a", "b", "/", "'", "~", "@", "%", "2", "0", " ", "v", "\ud83d", "\u{1f600}");
    const piece = fc.oneof(
      fc.array(fc.oneof(char, fc.constant("*")), { maxLength: 5 }).map((chars) => chars.join("")),
      fc.constantFrom("*", "**", "a", "2", "v2", "", "a*"),
    );
    const segment = fc.oneof(
      fc.array(char, { maxLength: 5 }).map((chars) => chars.join("")),
      fc.constantFrom("a", "2", "v2", "'2"),
      fc.nat({ max: 30 }),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 5 }),
        fc.array(segment, { minLength: 1, maxLength: 5 }),
        (pieces, segments) => {
          fc.pre(
            !pieces.every((text) => /^\*+$/.test(text)) &&
              pieces.join(":") !== "" &&
              !(segments.length === 1 && segments[0] === ""),
          );
          expect(matches(pieces.join(":"), segments)).toBe(modelMatches(pieces, segments));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("lets a value stand for itself alone, whatever it holds", () => {
    const hostile = fc.oneof(
      fc.string({ unit: fc.constantFrom("*", ":", "%", "2", "A", "'", "=", "a", "(", "\ud83d"), maxLength: 6 }),
      fc.constantFrom("", "*", "**", "%2A", "1", "'1", "v2"),
      fc.integer({ min: 0, max: 3 }),
    );
    fc.assert(
      fc.property(hostile, hostile, (id, other) => {
        const test = patternMatcher(encodePattern(pattern`user:${id}:*`));
        expect(test(encodeKey(["user", id, "x"]))).toBe(true);
        expect(test(encodeKey(["user", other, "x"]))).toBe(other === id);
        expect(test(encodeKey(["user", id]))).toBe(false);
      }),
      { numRuns: 400 },
    );
  });

  it("matches an entity's key with or without its version", () => {
    const path = encodeEntityKey("acme", "contact", 42, 2);
    for (const text of [
      "acme:contact:*",
      "acme:*:42",
      "*:contact:42",
      "acme:contact:4*",
      "acme:contact:42:v*",
      "**:42",
    ]) {
      expect(patternMatcher(encodePattern(text))(path)).toBe(true);
    }
    for (const text of ["acme:contact:43", "acme:contact", "acme:contact:42:v2", "acme:con*", "**:contact"]) {
      expect(patternMatcher(encodePattern(text))(path)).toBe(false);
    }
    expect(matches("user:*", "user:v2")).toBe(true);
    expect(matches("us*", "user:v2")).toBe(false);
  });

  it("never leaves its namespace", () => {
    const inA = inNamespace(namespacePath("", "a"), encodeKey("user:1"));
    for (const text of ["*:user:1", "**:1", "*a:user:*", "/a:user:*"])
      expect(patternMatcher(encodePattern(text))(inA)).toBe(false);
    const own = patternMatcher(inNamespace("/a", encodePattern("*:1")));
    expect(own(inA)).toBe(true);
    expect(own(encodeKey("user:1"))).toBe(false);
    expect(own(inNamespace("/a/b", encodeKey("user:1")))).toBe(false);
    expect(own(inNamespace("/ab", encodeKey("user:1")))).toBe(false);
  });

  it("answers hostile patterns and paths in bounded time", () => {
    const from = performance.now();
    const long = "a".repeat(30_000);
    const deep = Array.from({ length: 250 }, () => "a");
    const segments: Segment[] = [...deep, "c"];
    expect(matches(`${"a*".repeat(2_000)}b`, [long])).toBe(false);
    expect(matches(`x:${"*a".repeat(2_000)}*b*`, ["x", long])).toBe(false);
    expect(matches(`*${" ".repeat(100)}0*b`, [" ".repeat(10_000)])).toBe(false);
    expect(matches(`${"**:a:".repeat(60)}b`, segments)).toBe(false);
    expect(matches(`${"**:*a*:".repeat(60)}b`, segments)).toBe(false);
    expect(matches(`**:${"*a:".repeat(100)}c`, segments)).toBe(true);
    expect(performance.now() - from).toBeLessThan(2_000);
  });
});
