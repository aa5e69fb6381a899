import { describe, expect, it } from "vitest";

import { frame } from "./live-screen.js";
import { cut, plainText } from "../plain-text.js";
import { span } from "../spans.js";

describe("a frame of a live screen", () => {
  it("has no more lines and columns than there is room for; colours take none", () => {
    const text = "one two\n\u001B[32mgreen\u001B[39m and more\nthree\nfour\n";
    expect(frame(text, 3, 7)).toBe(
      "\u001B[Hone two\u001B[K\r\n\u001B[32mgreen\u001B[39m a\u001B[K\r\nthree\u001B[K\u001B[J",
    );
  });

  it("lets nothing through that moves the cursor but its own", () => {
    expect(frame("a\u001B[5Ab\u009B2J", 2, 20)).toBe("\u001B[Ha [5Ab 2J\u001B[K\u001B[J");
  });

  it("fits a usual terminal where the size is not known, or 0", () => {
    const text = Array.from({ length: 50 }, () => "x".repeat(100)).join("\n");
    expect(frame(text, 0, 0)).toBe(frame(text, 24, 80));
    expect(frame(text, undefined, undefined)).toBe(frame(text, 24, 80));
  });
});

describe("text of somebody else's", () => {
  it("cannot move the cursor or ring", () => {
    expect(plainText("a\u001B[2Jb\r\n\u0007c\u009Bd")).toBe("a [2Jb c d");
    expect(cut("abcdef", 4)).toBe("abc…");
    expect(cut("abcd", 4)).toBe("abcd");
  });
});

describe("a span of time", () => {
  it.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [45_000, "45 s"],
    [200_000, "3.3 min"],
    [9_000_000, "2.5 h"],
    [-345_600_000, "-4 d"],
  ])("of %s ms is %s", (milliseconds, text) => expect(span(milliseconds)).toBe(text));
});
