import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { CacheError } from "../errors.js";
import { Keyring, resolveEncryption } from "./encrypt.js";
import { encodeEnvelope, FLAG_ENCRYPTED, HEADER_LENGTH, SOFT_STALE_OFFSET } from "./envelope.js";

const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i);
const OTHER_SECRET = SECRET.map((byte) => byte ^ 1);
const PATH = "acme:contact:7:v1";
const PLAIN = Buffer.from("what nobody else may read");

const header = encodeEnvelope(
  {
    value: undefined,
    stamp: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    ttl: 60_000,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    loadCost: 0,
    position: 5,
    tags: [],
    fingerprint: 1,
    etag: undefined,
    sliding: false,
  },
  5,
);
new DataView(header.buffer, header.byteOffset).setUint32(16, FLAG_ENCRYPTED, true);

function ring(...ids: (string | { id: string; secret: Uint8Array })[]): Keyring {
  const keys = (ids.length === 0 ? ["k1"] : ids).map((id) => (typeof id === "string" ? { id, secret: SECRET } : id));
  return new Keyring("crm", keys);
}

/** Why the bytes are not opened. */
function refusal(keyring: Keyring, path: string, bytes: Uint8Array): string {
  try {
    keyring.open(path, bytes);
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_CORRUPT") return error.message;
    throw error;
  }
  throw new Error("it was opened");
}

/** Salt and count of a sealed entry whose key's id has two characters. */
function messageOf(sealed: Uint8Array): string {
  return Buffer.from(sealed.subarray(HEADER_LENGTH + 4, HEADER_LENGTH + 24)).toString("hex");
}

describe("a keyring", () => {
  it("opens what it sealed, and what another process with the key did", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.option(fc.uint8Array(), { nil: undefined }), fc.string(), (plain, open, path) => {
        const sealed = ring().seal(path, header, plain, open);
        const opened = ring().open(path, sealed);
        expect(Uint8Array.from(opened.plain)).toEqual(Uint8Array.from(plain));
        expect(opened.open === undefined ? undefined : Uint8Array.from(opened.open)).toEqual(
          open === undefined ? undefined : Uint8Array.from(open),
        );
      }),
      { numRuns: 100 },
    );
  });

  it("shows nothing of what it seals but its length, and all of what it leaves open", () => {
    const sealed = Buffer.from(ring().seal(PATH, header, PLAIN, Buffer.from("open to all")));
    expect(sealed.includes("nobody")).toBe(false);
    expect(sealed.includes("open to all")).toBe(true);
    expect(sealed.length).toBe(HEADER_LENGTH + 2 + 2 + 16 + 4 + (4 + 11) + PLAIN.length + 16);
  });

  it("does what its format says: another implementation opens it", () => {
    const sealed = Buffer.from(ring().seal(PATH, header, PLAIN, undefined));
    expect([...sealed.subarray(72, 76)]).toEqual([1, 2, 0x6b, 0x31]);
    const subkey = hkdfSync("sha256", SECRET, sealed.subarray(76, 92), "tiercache entry AES-256-GCM", 32);
    const iv = Buffer.concat([sealed.subarray(92, 96), Buffer.alloc(8)]);
    const decipher = createDecipheriv("aes-256-gcm", Buffer.from(subkey), iv, { authTagLength: 16 });
    const text = (value: string): Buffer => Buffer.from([value.length, 0, 0, 0, ...Buffer.from(value)]);
    decipher.setAAD(
      Buffer.concat([text("crm"), text(PATH), sealed.subarray(0, 3), sealed.subarray(4, 12), sealed.subarray(16, 96)]),
    );
    decipher.setAuthTag(sealed.subarray(-16));
    expect(Buffer.concat([decipher.update(sealed.subarray(96, -16)), decipher.final()])).toEqual(PLAIN);
  });

  it("opens nothing moved to another key or cache", () => {
    const sealed = ring().seal(PATH, header, PLAIN, undefined);
    expect(refusal(ring(), "acme:contact:8:v1", sealed)).toContain("does not authenticate");
    expect(refusal(ring(), "", sealed)).toContain("does not authenticate");
    const other = new Keyring("shop", [{ id: "k1", secret: SECRET }]);
    expect(refusal(other, PATH, sealed)).toContain("does not authenticate");
    // The same characters, divided otherwise.
    const shifted = new Keyring("crmacme", [{ id: "k1", secret: SECRET }]);
    expect(refusal(shifted, PATH.slice(4), sealed)).toContain("does not authenticate");
  });

  it("opens nothing of which any byte was changed, but for the soft-stale flag and the checksum", () => {
    const keyring = ring("k1", "k2");
    for (const open of [undefined, Buffer.from("open to all")]) {
      const sealed = keyring.seal(PATH, header, PLAIN, open);
      for (let at = 0; at < sealed.length; at++) {
        const changed = Uint8Array.from(sealed);
        changed[at] = (changed[at] as number) ^ 0x03;
        if (at === SOFT_STALE_OFFSET || (at >= 12 && at < 16))
          expect(Buffer.from(keyring.open(PATH, changed).plain)).toEqual(PLAIN);
        else expect(refusal(keyring, PATH, changed)).not.toBe("");
      }
    }
  });

  it("opens nothing that is cut, anywhere, or longer", () => {
    const keyring = ring();
    for (const open of [undefined, Buffer.from("open to all")]) {
      const sealed = keyring.seal(PATH, header, PLAIN, open);
      for (let end = HEADER_LENGTH; end < sealed.length; end++)
        expect(refusal(keyring, PATH, sealed.subarray(0, end))).not.toBe("");
      expect(refusal(keyring, PATH, Uint8Array.of(...sealed, 0))).not.toBe("");
    }
  });

  it("opens no random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (body) => {
        expect(refusal(ring(), PATH, Uint8Array.of(...header.subarray(0, HEADER_LENGTH), ...body))).not.toBe("");
        const known = Uint8Array.of(...header.subarray(0, HEADER_LENGTH), (body[0] ?? 0) % 4, 2, 0x6b, 0x31, ...body);
        expect(refusal(ring(), PATH, known)).not.toBe("");
      }),
      { numRuns: 500 },
    );
  });
});

describe("the keys of a keyring", () => {
  it("rotate: the first seals, all of them open", () => {
    const old = { id: "k1", secret: SECRET };
    const fresh = { id: "k2", secret: OTHER_SECRET };
    const before = ring(old).seal(PATH, header, PLAIN, undefined);
    const both = ring(fresh, old);
    const after = both.seal(PATH, header, PLAIN, undefined);
    for (const sealed of [before, after]) expect(Buffer.from(both.open(PATH, sealed).plain)).toEqual(PLAIN);
    expect(Buffer.from(ring(old, fresh).open(PATH, after).plain)).toEqual(PLAIN);
    expect(refusal(ring(old), PATH, after)).toContain('the key "k2", which this cache does not have');
    expect(refusal(ring(fresh), PATH, before)).toContain('the key "k1", which this cache does not have');
    expect(refusal(ring({ id: "k1", secret: OTHER_SECRET }), PATH, before)).toContain("another secret of that id");
  });

  it("may be given as base64 of either alphabet, with padding or without", () => {
    const secret = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
    const sealed = ring({ id: "k1", secret }).seal(PATH, header, PLAIN, undefined);
    const base64 = Buffer.from(secret).toString("base64");
    for (const text of [base64, base64.replace("=", ""), Buffer.from(secret).toString("base64url")])
      expect(Buffer.from(new Keyring("crm", [{ id: "k1", secret: text }]).open(PATH, sealed).plain)).toEqual(PLAIN);
  });

  it("are the keyring's own: what becomes of the array they came in changes nothing", () => {
    const secret = Uint8Array.from(SECRET);
    const keyring = ring({ id: "k1", secret });
    secret.fill(0);
    expect(Buffer.from(ring().open(PATH, keyring.seal(PATH, header, PLAIN, undefined)).plain)).toEqual(PLAIN);
  });
});

describe("no IV comes twice under a subkey", () => {
  it("each message has a count of its own under a salt that no other keyring has", () => {
    const seen = new Set<string>();
    const rings = [ring(), ring(), ring()];
    for (const keyring of rings)
      for (let i = 0; i < 1_000; i++) seen.add(messageOf(keyring.seal(PATH, header, PLAIN, undefined)));
    expect(seen.size).toBe(3_000);
    const salts = new Set([...seen].map((message) => message.slice(0, 32)));
    expect(salts.size).toBe(3);
  });

  it("a new salt is drawn when the count has come to its end", () => {
    const keyring = new Keyring("crm", [{ id: "k1", secret: SECRET }], 3);
    const messages = Array.from({ length: 7 }, () => keyring.seal(PATH, header, PLAIN, undefined));
    const counts = messages.map((sealed) => Buffer.from(sealed).readUInt32LE(HEADER_LENGTH + 20));
    expect(counts).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(new Set(messages.map((sealed) => messageOf(sealed).slice(0, 32))).size).toBe(3);
    for (const sealed of messages) expect(Buffer.from(keyring.open(PATH, sealed).plain)).toEqual(PLAIN);
  });

  it("the same message is never the same bytes", () => {
    const keyring = ring();
    const [a, b] = [keyring.seal(PATH, header, PLAIN, undefined), keyring.seal(PATH, header, PLAIN, undefined)];
    expect(a.subarray(-PLAIN.length)).not.toEqual(b.subarray(-PLAIN.length));
  });

  it("more processes may write than subkeys are kept", () => {
    const reader = ring();
    const sealed = Array.from({ length: 1_100 }, () => ring().seal(PATH, header, PLAIN, undefined));
    for (const bytes of [...sealed, ...sealed.slice(0, 10)])
      expect(Buffer.from(reader.open(PATH, bytes).plain)).toEqual(PLAIN);
  });
});

describe("the option encryption", () => {
  const key = { id: "k1", secret: SECRET };

  it("is off unless it is said, and by default for declared entities only", () => {
    expect(resolveEncryption("crm", undefined)).toBeUndefined();
    expect(resolveEncryption("crm", { keys: [key] })).toMatchObject({ all: false });
    expect(resolveEncryption("crm", { keys: [key], entries: "declared" })).toMatchObject({ all: false });
    expect(resolveEncryption("crm", { keys: [key], entries: "all" })).toMatchObject({ all: true });
  });

  it.each([
    [null, "encryption"],
    [true, "encryption"],
    [{ keys: [key], cipher: "des" }, "encryption option"],
    [{}, "encryption.keys"],
    [{ keys: [] }, "encryption.keys"],
    [{ keys: key }, "encryption.keys"],
    [{ keys: [key], entries: "some" }, "encryption.entries"],
    [{ keys: [null] }, "encryption.keys[0]"],
    [{ keys: [{ ...key, bits: 256 }] }, "encryption.keys[0] option"],
    [{ keys: [{ ...key, id: "" }] }, "encryption.keys[0].id"],
    [{ keys: [{ ...key, id: "a b" }] }, "encryption.keys[0].id"],
    [{ keys: [{ ...key, id: "é" }] }, "encryption.keys[0].id"],
    [{ keys: [{ ...key, id: "x".repeat(65) }] }, "encryption.keys[0].id"],
    [{ keys: [{ ...key, id: 1 }] }, "encryption.keys[0].id"],
    [{ keys: [key, { id: "k1", secret: OTHER_SECRET }] }, "encryption.keys[1].id"],
    [{ keys: [key, { id: "k2" }] }, "encryption.keys[1].secret"],
    [{ keys: [{ id: "k1", secret: new Uint8Array(31) }] }, "encryption.keys[0].secret"],
    [{ keys: [{ id: "k1", secret: new Uint8Array(33) }] }, "encryption.keys[0].secret"],
    [{ keys: [{ id: "k1", secret: [...SECRET] }] }, "encryption.keys[0].secret"],
  ])("refuses %j, naming %s", (option, named) => {
    expect(() => resolveEncryption("crm", option as never)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(`\`${named}\``) }),
    );
  });

  it.each(["correct horse battery staple", "a".repeat(42), "a".repeat(44), `${"a".repeat(42)}==`, "", "é".repeat(43)])(
    "refuses the secret %j without showing it",
    (secret) => {
      const refused = (): unknown => resolveEncryption("crm", { keys: [{ id: "k1", secret }] });
      expect(refused).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
      if (secret !== "") expect(refused).not.toThrow(secret);
    },
  );

  it("cannot be made to show its secrets by printing it", async () => {
    const { inspect } = await import("node:util");
    const secret = Buffer.from(SECRET).toString("base64");
    const encryption = resolveEncryption("crm", { keys: [{ id: "k1", secret }] });
    const shown = inspect(encryption, { depth: 9, showHidden: true }) + JSON.stringify(encryption);
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain("00 01 02 03");
  });
});

describe("the cipher", () => {
  it("is the AES-256-GCM of the standard's test vector", () => {
    // Test case 13 of the GCM specification (McGrew and Viega): nothing under a key of zeroes.
    const cipher = createCipheriv("aes-256-gcm", Buffer.alloc(32), Buffer.alloc(12), { authTagLength: 16 });
    cipher.final();
    expect(cipher.getAuthTag().toString("hex")).toBe("530f8afbc74536b9a963b4f1c4cb738b");
  });
});
