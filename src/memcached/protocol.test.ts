import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_VALUE_LENGTH, ReplyParser, type Reply } from "./protocol.js";

function parse(...chunks: readonly (string | Buffer)[]): Reply[] {
  const replies: Reply[] = [];
  const parser = new ReplyParser((reply) => replies.push(reply));
  for (const chunk of chunks) parser.push(Buffer.from(chunk as string, "latin1"));
  return replies;
}

const value = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));

describe("replies", () => {
  it("are cut where they end, with their flags and values", () => {
    expect(parse("HD c7\r\nEN\r\nVA 3 c12 t-1 X\r\na\r\n\r\nVA 0\r\n\r\nSERVER_ERROR out of memory\r\nMN\r\n")).toEqual(
      [
        { code: "HD", flags: ["c7"], value: undefined },
        { code: "EN", flags: [], value: undefined },
        { code: "VA", flags: ["c12", "t-1", "X"], value: value("a\r\n") },
        { code: "VA", flags: [], value: value("") },
        { code: "SERVER_ERROR", flags: ["out", "of", "memory"], value: undefined },
        { code: "MN", flags: [], value: undefined },
      ],
    );
  });

  it("are the same wherever the packets end", () => {
    const item = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => {
        const body = Buffer.from(bytes);
        return Buffer.concat([Buffer.from(`VA ${body.length} c1\r\n`), body, Buffer.from("\r\n")]);
      }),
      fc.constantFrom("HD c1\r\n", "EN\r\n", "NS c0\r\n", "STAT pid 1\r\n").map((line) => Buffer.from(line)),
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 6 }), fc.array(fc.nat({ max: 50 })), (items, cuts) => {
        const whole = Buffer.concat(items);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(whole.subarray(at, at + cut));
          at += cut;
        }
        chunks.push(whole.subarray(at));
        expect(parse(...chunks)).toEqual(parse(whole));
        expect(parse(whole)).toHaveLength(items.length);
      }),
    );
  });

  it.each([
    ["lower case", "hd\r\n"],
    ["no code", " HD\r\n"],
    ["nothing", "\r\n"],
    ["a line that ends in LF", "HD\n"],
    ["another protocol", "HTTP/1.1 400 Bad Request\r\n"],
    ["bytes", "\u0081\u0000\u0001\r\n"],
    ["a line without an end", "x".repeat(3_000)],
    ["a value without a length", "VA\r\n"],
    ["a negative length", "VA -1 c1\r\n"],
    ["a length that is no number", "VA 1e3 c1\r\n"],
    ["a huge length", `VA ${MAX_VALUE_LENGTH + 1} c1\r\n`],
    ["a length past every number", `VA ${"9".repeat(400)} c1\r\n`],
    ["a value longer than it says", "VA 3 c1\r\nabcd\r\n"],
    ["a value shorter than it says", "VA 3 c1\r\nab\r\nHD\r\n"],
  ])("that are %s are refused", (_what, text) => {
    expect(() => parse(text)).toThrow(/Expected a reply of memcached/);
    expect(() => parse(...text.slice(0, 3_000).split(""))).toThrow(/Expected a reply of memcached/);
  });

  it("take no more memory than what has come, and one value", () => {
    const parser = new ReplyParser(() => undefined);
    parser.push(Buffer.from("x".repeat(2_000)));
    expect(() => parser.push(Buffer.from("x".repeat(100)))).toThrow("a line without an end");
  });
});
