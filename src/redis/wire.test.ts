import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRule } from "../invalidation/mark-text.js";
import type { LogRecord, Mark } from "../invalidation/record.js";
import { signing } from "./sign.js";
import { encodeBody, encodeSettled, memberOf, parseHead, parseMessage, parseRule } from "./wire.js";

const text = fc.string({ unit: "binary", maxLength: 12 });
const mark: fc.Arbitrary<Mark> = fc.oneof(
  text.map((key): Mark => ({ kind: "key", key })),
  text.map((tag): Mark => ({ kind: "tag", tag })),
  fc.array(text, { maxLength: 4 }).map((tags): Mark => ({ kind: "tags", tags })),
  text.map((prefix): Mark => ({ kind: "prefix", prefix })),
  text.map((pattern): Mark => ({ kind: "pattern", pattern })),
  fc.constant<Mark>({ kind: "all" }),
);
const position = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const record: fc.Arbitrary<LogRecord> = fc
  .record({ position, previous: fc.nat(), origin: text, soft: fc.boolean(), marks: fc.array(mark, { maxLength: 5 }) })
  .map((given) => ({ ...given, previous: given.previous % given.position }));

function encode({ position: at, previous, origin, soft, marks }: LogRecord): string {
  return `[${at},${previous},${encodeBody(origin, soft, marks)}`;
}

describe("records", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(record, (given) => {
        expect(parseMessage(encode(given))).toEqual({ type: "record", record: given });
      }),
    );
  });

  it.each([
    "",
    "{",
    "null",
    "7",
    "{}",
    "[]",
    '[2,1,"o",0]',
    '[2,1,"o",0,[],1]',
    '[2,2,"o",0,[]]',
    '[2,3,"o",0,[]]',
    '[2,-1,"o",0,[]]',
    '[2.5,1,"o",0,[]]',
    '["2",1,"o",0,[]]',
    '[9007199254740992,1,"o",0,[]]',
    "[2,1,7,0,[]]",
    '[2,1,"o",2,[]]',
    '[2,1,"o",false,[]]',
    '[2,1,"o",0,{}]',
    '[2,1,"o",0,["k"]]',
    '[2,1,"o",0,[["k"]]]',
    '[2,1,"o",0,[["k","a","b"]]]',
    '[2,1,"o",0,[["k",1]]]',
    '[2,1,"o",0,[["a","x"]]]',
    '[2,1,"o",0,[["T","x"]]]',
    '[2,1,"o",0,[["T",[1]]]]',
    '[2,1,"o",0,[["x","y"]]]',
    '[2,1,"o",0,[["k","a"],["x","y"]]]',
    '["settled"]',
    '["settled",1]',
    '["settled","a","b"]',
    '["other","a"]',
  ])("refuses %s whole", (given) => {
    expect(parseMessage(given)).toBeUndefined();
  });

  it("never throws, whatever is heard", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json()), (given) => {
        const signal = parseMessage(given);
        expect(signal === undefined || signal.type === "record" || signal.type === "settled").toBe(true);
      }),
    );
  });

  it("too long for subscribers are refused", () => {
    expect(() => encodeBody("o", false, [{ kind: "tag", tag: "x".repeat(5_000_000) }])).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_TIER" }) as Error,
    );
  });
});

describe("the end of a lease", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(text, (key) => {
        expect(parseMessage(encodeSettled(key))).toEqual({ type: "settled", key });
      }),
    );
  });
});

describe("members", () => {
  it("are one for each mark and mode", () => {
    fc.assert(
      fc.property(mark, fc.boolean(), mark, fc.boolean(), (one, softOne, two, softTwo) => {
        const same = JSON.stringify([one, softOne]) === JSON.stringify([two, softTwo]);
        expect(memberOf(one, softOne) === memberOf(two, softTwo)).toBe(same);
      }),
    );
  });

  it("of rules come back as they were, others do not", () => {
    fc.assert(
      fc.property(mark, fc.boolean(), (given, soft) => {
        expect(parseRule(memberOf(given, soft))).toEqual(isRule(given) ? { mark: given, soft } : undefined);
      }),
    );
  });

  it.each(["", "h", "hT", "hT{", "hT[1]", "xgp:*", "gp:*"])("refuses %j as a rule", (member) => {
    expect(parseRule(member)).toBeUndefined();
  });
});

describe("heads", () => {
  const bytes = (given: string): Uint8Array => new TextEncoder().encode(given);

  it("are three numbers", () => {
    expect(parseHead(bytes("1700000000000001 1700000000000000 3"))).toEqual({
      position: 1_700_000_000_000_001,
      control: 1_700_000_000_000_000,
      floor: 3,
    });
  });

  it.each(["", "1 2", "1 2 3 4", "1 2 3 ", "1 -2 3", "1 2 3e5", "1.5 2 3", "one 2 3", "12345678901234567 2 3"])(
    "are not %j",
    (given) => {
      expect(parseHead(bytes(given))).toBeUndefined();
      expect(parseHead(undefined)).toBeUndefined();
    },
  );
});

describe("signed messages", () => {
  const signer = signing("a secret of 16 bytes or more")?.("c#bus");
  const other = signing("another secret of as many bytes")?.("c#bus");
  const signed = ({ position: at, previous, origin, soft, marks }: LogRecord, by = signer): string =>
    `[${at},${previous},${encodeBody(origin, soft, marks, by)}`;
  const refused = (reason: string): unknown => ({ type: "refused", reason });

  it("come back as they were, with the secret and without any", () => {
    fc.assert(
      fc.property(record, text, (given, key) => {
        for (const reader of [signer, undefined]) {
          expect(parseMessage(signed(given), reader)).toEqual({ type: "record", record: given });
          expect(parseMessage(encodeSettled(key, signer), reader)).toEqual({ type: "settled", key });
        }
      }),
    );
  });

  it("say the same under other positions, which only the server knows", () => {
    const given: LogRecord = { position: 9, previous: 8, origin: "o", soft: false, marks: [{ kind: "all" }] };
    const message = signed(given).replace("[9,8,", "[7,3,");
    expect(parseMessage(message, signer)).toEqual({ type: "record", record: { ...given, position: 7, previous: 3 } });
  });

  it("are refused when they are not signed, or by another", () => {
    fc.assert(
      fc.property(record, text, (given, key) => {
        expect(parseMessage(encode(given), signer)).toEqual(refused("no signature"));
        expect(parseMessage(encodeSettled(key), signer)).toEqual(refused("no signature"));
        expect(parseMessage(signed(given, other), signer)).toEqual(refused("no secret of ours signed it"));
        expect(parseMessage(encodeSettled(key, other), signer)).toEqual(refused("no secret of ours signed it"));
      }),
    );
  });

  it("are refused or read as something else that was signed, whatever is changed in them", () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.string({ maxLength: 2 }), fc.nat({ max: 2 }), (given, at, put, cut) => {
        const message = signed(given);
        const where = at % message.length;
        const changed = message.slice(0, where) + put + message.slice(where + cut);
        const signal = parseMessage(changed, signer);
        if (signal?.type === "record") {
          const { origin, soft, marks } = signal.record;
          expect({ origin, soft, marks }).toEqual({ origin: given.origin, soft: given.soft, marks: given.marks });
        } else {
          expect(signal === undefined || signal.type === "refused").toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(["", "{", "[]", "[1,", '["settled"]', '["settled",1]', '[1,2,"o"', "hello"])("are not %s", (given) => {
    expect(parseMessage(given, signer)?.type).toBe("refused");
  });

  it("never are what two others were cut from", () => {
    const one = encodeSettled("a", signer);
    const signature = one.slice(-24, -2);
    expect(parseMessage(`["settled","b","${signature}"]`, signer)?.type).toBe("refused");
    expect(parseMessage(`[2,1,"settled","a","${signature}"]`, signer)).toBeUndefined();
    expect(parseMessage(`["settled","a","x","${signature}"]`, signer)?.type).toBe("refused");
  });
});
