import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { signing, type Secret, type Signer } from "./sign.js";

const FIRST = "the first of two secrets";
const SECOND = new TextEncoder().encode("the second of two secrets");

function signerOf(secret: Secret, channel = "c#bus"): Signer {
  const signerFor = signing(secret);
  if (signerFor === undefined) throw new Error("no signer");
  return signerFor(channel);
}

describe("signing", () => {
  it("is HMAC-SHA-256 of the channel and the text, cut to 128 bits", () => {
    const expected = createHmac("sha256", FIRST).update("c#bus\ntext").digest().subarray(0, 16).toString("base64url");
    expect(signerOf(FIRST).sign("text")).toBe(expected);
    expect(expected).toHaveLength(22);
  });

  it("is verified for the same text, channel and secret only", () => {
    const signature = signerOf(FIRST).sign("text");
    expect(signerOf(FIRST).verifies("text", signature)).toBe(true);
    expect(signerOf(FIRST).verifies("texts", signature)).toBe(false);
    expect(signerOf(FIRST, "d#bus").verifies("text", signature)).toBe(false);
    expect(signerOf(SECOND).verifies("text", signature)).toBe(false);
  });

  it("does not believe a signature that differs in anything", () => {
    const signer = signerOf(FIRST);
    const signature = signer.sign("text");
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=é".split("");
    const others = signature
      .split("")
      .flatMap((letter, at) =>
        [...letters, String.fromCharCode(letter.charCodeAt(0) + 0x100), ""].map(
          (other) => signature.slice(0, at) + other + signature.slice(at + 1),
        ),
      );
    expect(others.filter((other) => other !== signature && signer.verifies("text", other))).toEqual([]);
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), (given) => {
        expect(signer.verifies("text", given)).toBe(given === signature);
      }),
    );
  });

  it("is by the first of several secrets, and believes all of them", () => {
    const both = signerOf([FIRST, SECOND]);
    expect(both.sign("text")).toBe(signerOf(FIRST).sign("text"));
    for (const one of [FIRST, SECOND]) expect(both.verifies("text", signerOf(one).sign("text"))).toBe(true);
    expect(both.verifies("text", signerOf("neither of two secrets").sign("text"))).toBe(false);
  });

  it("is not without a secret", () => {
    expect(signing(undefined)).toBeUndefined();
  });

  it.each([
    [[]],
    [""],
    ["15 bytes, no 16"],
    [new Uint8Array(15)],
    [["long enough, this one", "not this"]],
    [Array.from({ length: 9 }, (_, index) => `${index} of nine secrets too many`)],
    [7],
    [null],
    [{}],
    [[undefined]],
  ])("refuses %j, and does not show it", (given) => {
    let refusal: unknown;
    try {
      signing(given as Secret);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining("`secret`") as string,
    });
    expect(String(refusal)).not.toContain("not this");
  });
});
