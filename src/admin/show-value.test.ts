import { describe, expect, it } from "vitest";

import { showValue } from "./show-value.js";

describe("a value that is shown", () => {
  it("is text, whatever it holds", () => {
    const { text } = showValue(
      "k",
      { html: "<script>alert(1)</script>", big: 1n, when: new Date(0), set: new Set([1]) },
      [],
      [],
    );
    expect(text).toContain("'<script>alert(1)</script>'");
    expect(text).toContain("1n");
    expect(text).toContain("1970-01-01T00:00:00.000Z");
  });

  it("has nothing in it that reads otherwise than it is", () => {
    expect(showValue("k", "\u202Egnp.exe\u202C\u200B\u0000\u001B[31m", [], []).text).toBe(
      String.raw`'\u202egnp.exe\u202c\u200b\x00\x1B[31m'`,
    );
  });

  it("has no secrets in it, at any depth and in any spelling, nor what the entity calls sensitive", () => {
    const value = {
      user: { passwordHash: "hash-1", API_KEY: "key-1", list: [{ "access-token": "token-1" }] },
      map: new Map([["refreshToken", "token-2"]]),
      mail: "ann@example.com",
      note: "shown",
    };
    const { text, redacted } = showValue("k", value, ["mail"], ["phone"]);
    for (const secret of ["hash-1", "key-1", "token-1", "token-2", "ann@example.com"])
      expect(text).not.toContain(secret);
    expect(text).toContain("shown");
    expect(redacted).toBe(true);
    expect(showValue("k", { phone: 1 }, [], ["phone"]).text).not.toContain("1");
  });

  it("has no secrets in the keys of a map, in JSON that is stored as text, and however deep", () => {
    const secret = { password: "hunter2" };
    const deep = (levels: number): unknown => (levels === 0 ? secret : { in: deep(levels - 1) });
    for (const value of [
      new Map([[secret, 1]]),
      new Set([secret]),
      JSON.stringify({ user: secret }),
      { body: ` [${JSON.stringify(secret)}]` },
      JSON.stringify({ again: JSON.stringify(secret) }),
      JSON.stringify(deep(20)),
      deep(20),
      JSON.stringify({ secret, long: "x".repeat(2_000_000) }),
    ]) {
      const { text } = showValue("k", value, [], []);
      expect(text).not.toContain("hunter2");
      expect(text).toMatch(/redacted|deeper/);
    }
    expect(showValue("k", '{"a":1}', [], []).text).toBe(`'{"a":1}'`);
    expect(showValue("k", "{ password: not JSON", [], []).redacted).toBe(false);
  });

  it("is not shown at all where all of it is sensitive", () => {
    expect(showValue("k", { a: 1 }, true, [])).toEqual({ text: "[redacted]", redacted: true, cut: false });
  });

  it("may be replaced by a function of the user's", () => {
    expect(showValue("k", 1, [], (key) => `hidden ${key}`)).toMatchObject({ text: "'hidden k'", redacted: true });
  });

  it("ends somewhere", () => {
    const { text, cut } = showValue(
      "k",
      Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`f${i}`, "x".repeat(50)])),
      [],
      [],
    );
    expect(text.length).toBe(64 * 1_024);
    expect(cut).toBe(true);
  });
});
