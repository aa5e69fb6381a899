import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { anyReader, CACHE_NAME, canWrite, formOf, PATH, type StoredForm } from "../../test/fixtures/entries/forms.js";
import { storedEntries } from "../../test/fixtures/entries/manifest.js";
import { contacts, isSame, values } from "../../test/fixtures/entries/values.js";
import { entryFields } from "../../test/support/entry-fields.js";
import { forged } from "../../test/support/forged.js";
import { CacheError } from "../errors.js";
import {
  encodeEnvelope,
  FLAG_COMPRESSED,
  FLAG_ENCRYPTED,
  SOFT_STALE_OFFSET,
  stampOf,
  type Envelope,
} from "./envelope.js";
import { createForms, plainForm, type EntryForm, type FormDeclaration } from "./form.js";

const entry = entryFields({
  value: { id: 7, email: "ada@example.com", name: "Ada" },
  etag: '"e"',
  sliding: true,
});
const encryption = { keys: [{ id: "k1", secret: new Uint8Array(32) }] };
const FORMS: readonly StoredForm[] = [
  "plain",
  "gzip",
  "brotli",
  "zstd",
  "encrypted",
  "encrypted-fields",
  "encrypted-gzip",
  "encrypted-fields-gzip",
];
const WRITABLE = FORMS.filter(canWrite);

function forms(options: Partial<Parameters<typeof createForms>[0]> = {}): ReturnType<typeof createForms> {
  return createForms({ cacheName: CACHE_NAME, isShared: true, ...options });
}

function flagsOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(16, true) & (FLAG_COMPRESSED | FLAG_ENCRYPTED);
}

/** The entry, or the message of what makes the bytes none. */
async function outcome(form: EntryForm, bytes: Uint8Array, path: string = PATH): Promise<Envelope | string> {
  try {
    return await form.decode(path, bytes);
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_CORRUPT") return error.message;
    throw error;
  }
}

describe.each(WRITABLE)("the form %s", (name) => {
  const form = formOf(name);

  it("gives back every field and value", async () => {
    await fc.assert(
      fc.asyncProperty(values, fc.option(fc.string(), { nil: undefined }), async (value, etag) => {
        const fields = { ...entry, value, etag };
        const { createdWall, softStale, ...read } = await form.decode(PATH, await form.encode(PATH, fields, 5));
        return isSame(read, fields) && createdWall === 5 && !softStale;
      }),
      { numRuns: 60 },
    );
  });

  it("gives back large values, a promise of them if need be", async () => {
    for (const count of [300, 3_000]) {
      const value = { id: 7, email: "a@b.c", list: contacts(count) };
      const read = await form.decode(PATH, await form.encode(PATH, { ...entry, value }, 5));
      expect(isSame(read.value, value)).toBe(true);
    }
  });

  it("keeps the order of a value's fields", async () => {
    const value = { z: 1, phone: 2, a: undefined, email: 3, born: undefined, b: [4] };
    const read = await form.decode(PATH, await form.encode(PATH, { ...entry, value }, 5));
    expect(Object.entries(read.value as object)).toEqual(Object.entries(value));
  });

  it("is read by every cache that has its keys, and as it is by one that has only them", async () => {
    const bytes = await form.encode(PATH, entry, 5);
    expect(await outcome(anyReader(), bytes)).toMatchObject({ value: entry.value, tags: entry.tags, etag: '"e"' });
  });

  it("shows tiers the stamp, and lets them set the soft-stale flag", async () => {
    const bytes = Uint8Array.from(await form.encode(PATH, entry, 5));
    expect(stampOf(bytes)).toEqual(entry.stamp);
    bytes[SOFT_STALE_OFFSET] = 1;
    expect(await form.decode(PATH, bytes)).toMatchObject({ softStale: true, value: entry.value });
  });

  it("shares no memory with the bytes it is read from", async () => {
    const value = { email: Uint8Array.of(1, 2), data: Uint8Array.of(3, 4), text: "x".repeat(50) };
    const bytes = Uint8Array.from(await form.encode(PATH, { ...entry, value }, 5));
    const read = await form.decode(PATH, bytes);
    bytes.fill(0xff);
    expect(read).toMatchObject({ ...entry, value });
  });

  it("can be read in the middle of a pooled buffer", async () => {
    const bytes = await form.encode(PATH, entry, 5);
    const pool = Buffer.alloc(bytes.length + 30, 0xee);
    pool.set(bytes, 13);
    expect(await form.decode(PATH, pool.subarray(13, 13 + bytes.length))).toMatchObject({ value: entry.value });
  });

  it.each([
    ["a value that is no data", { value: { email: "a@b.c", fn: (): number => 1 } }],
    ["a field of one", { value: { email: (): number => 1 } }],
    ["a getter", { value: Object.defineProperty({}, "email", { get: () => 1, enumerable: true }) }],
    ["a stamp of another length", { stamp: new Uint8Array(7) }],
    ["a negative time", { ttl: -1 }],
  ])("refuses %s", (_, wrong) => {
    expect(() => form.encode(PATH, { ...entry, ...wrong }, 5)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_VALUE" }),
    );
  });

  it("takes random bytes behind a true header for no entry, or reads them, and throws nothing else", async () => {
    const bytes = await form.encode(PATH, entry, 5);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), fc.nat(31), async (tail, flags) => {
        const joined = Uint8Array.of(...bytes.subarray(0, 72), ...tail);
        await outcome(
          form,
          forged(joined, (view) => view.setUint32(16, flags, true)),
        );
        await outcome(form, joined);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the default form", () => {
  it("is the plain one where no option asks for more, and writes what it always has", () => {
    expect(forms().default).toBe(plainForm);
    expect(forms({ compression: false }).of({})).toBe(plainForm);
    expect(plainForm.encode(PATH, entry, 5)).toEqual(encodeEnvelope(entry, 5));
  });

  it("answers at once, and leaves to promises only what is large", () => {
    const { default: form } = forms({ compression: { threshold: 1 }, encryption: { ...encryption, entries: "all" } });
    const small = form.encode(PATH, { ...entry, value: contacts(50) }, 5);
    expect(small).toBeInstanceOf(Uint8Array);
    expect(form.decode(PATH, small as Uint8Array)).not.toBeInstanceOf(Promise);
    expect(plainForm.encode(PATH, { ...entry, value: contacts(3_000) }, 5)).toBeInstanceOf(Uint8Array);
  });

  it("encrypts when all entries are to be", () => {
    const all = forms({ encryption: { ...encryption, entries: "all" } });
    const declared = forms({ encryption });
    expect(flagsOf(all.default.encode(PATH, entry, 5) as Uint8Array)).toBe(FLAG_ENCRYPTED);
    expect(flagsOf(all.of({}).encode(PATH, entry, 5) as Uint8Array)).toBe(FLAG_ENCRYPTED);
    expect(flagsOf(declared.default.encode(PATH, entry, 5) as Uint8Array)).toBe(0);
    expect(flagsOf(declared.of({ encrypt: true }).encode(PATH, entry, 5) as Uint8Array)).toBe(FLAG_ENCRYPTED);
  });
});

describe("compression", () => {
  it("begins at the threshold, counted in encoded bytes, and is kept only where it saves a tenth", async () => {
    const body = (value: unknown): number => encodeEnvelope({ ...entry, value }, 5).length - 72;
    const value = "ab".repeat(200);
    const at = (threshold: number, of: unknown): Uint8Array =>
      forms({ compression: { threshold } }).default.encode(PATH, { ...entry, value: of }, 5) as Uint8Array;
    expect(flagsOf(at(body(value), value))).toBe(FLAG_COMPRESSED);
    expect(at(body(value), value).length).toBeLessThan(150);
    expect(at(body(value) + 1, value)).toEqual(encodeEnvelope({ ...entry, value }, 5));
    expect(flagsOf(at(1, randomBytes(400)))).toBe(0);
  });

  it("of an entity is the cache's, laid over field by field, or none", () => {
    const value = "ab".repeat(200);
    const flags = (cache: boolean, entity: FormDeclaration["compression"]): number =>
      flagsOf(
        forms({ compression: cache ? { threshold: 100 } : undefined })
          .of({ compression: entity })
          .encode(PATH, { ...entry, value }, 5) as Uint8Array,
      );
    expect(flags(true, undefined)).toBe(FLAG_COMPRESSED);
    expect(flags(true, { algorithm: "brotli" })).toBe(FLAG_COMPRESSED);
    expect(flags(true, { threshold: "1kb" })).toBe(0);
    expect(flags(true, false)).toBe(0);
    expect(flags(false, true)).toBe(0);
    expect(flags(false, { threshold: 100 })).toBe(FLAG_COMPRESSED);
  });

  it.each(["gzip", "brotli"] as const)(
    "by %s: any byte changed is no entry, or with the checksum forged no crash",
    async (name) => {
      const bytes = await formOf(name).encode(PATH, { ...entry, value: contacts(2) }, 5);
      expect(flagsOf(bytes)).toBe(FLAG_COMPRESSED);
      for (let at = 0; at < bytes.length; at++) {
        const flip = (view: DataView): void => view.setUint8(at, view.getUint8(at) ^ 0x5a);
        const torn = Uint8Array.from(bytes);
        flip(new DataView(torn.buffer));
        expect(await outcome(plainForm, torn)).toBeTypeOf("string");
        await outcome(plainForm, forged(bytes, flip));
      }
    },
  );

  it("is undone only as far as the header says", async () => {
    const bytes = await formOf("gzip").encode(PATH, { ...entry, value: contacts(2) }, 5);
    expect(
      await outcome(
        plainForm,
        forged(bytes, (view) => view.setUint32(73, 0xffff_ffff, true)),
      ),
    ).toContain("claims to be 4294967295 bytes");
    expect(
      await outcome(
        plainForm,
        forged(bytes, (view) => view.setUint8(72, 77)),
      ),
    ).toContain("algorithm 77");
  });
});

describe("encryption", () => {
  const whole = formOf("encrypted");
  const some = formOf("encrypted-fields");

  it("hides all of a value with its tags and etag, or the fields it names with them", async () => {
    const read = async (form: EntryForm): Promise<string> =>
      Buffer.from(await form.encode(PATH, entry, 5)).toString("latin1");
    const all = await read(whole);
    for (const word of ["ada@example.com", "email", "Ada", "name", "team:7", '"e"']) expect(all).not.toContain(word);
    const fields = await read(some);
    for (const word of ["ada@example.com", "team:7", '"e"']) expect(fields).not.toContain(word);
    for (const word of ["Ada", "name", "email"]) expect(fields).toContain(word);
  });

  it("of fields encrypts whole what is no plain object", async () => {
    for (const value of [[{ email: "ada@example.com" }], new Map([["email", "ada@example.com"]]), "ada@example.com"]) {
      const bytes = Buffer.from(await some.encode(PATH, { ...entry, value }, 5));
      expect(bytes.includes("ada@example.com")).toBe(false);
      expect(await some.decode(PATH, bytes)).toMatchObject({ value });
    }
  });

  it("hides what is compressed, too", async () => {
    const { default: form } = forms({ compression: { threshold: 1 }, encryption: { ...encryption, entries: "all" } });
    const plain = await forms({ compression: { threshold: 1 } }).default.encode(
      PATH,
      { ...entry, value: contacts(9) },
      5,
    );
    const bytes = Buffer.from(await form.encode(PATH, { ...entry, value: contacts(9) }, 5));
    expect(flagsOf(bytes)).toBe(FLAG_COMPRESSED | FLAG_ENCRYPTED);
    expect(bytes.length).toBe(plain.length + 2 + 2 + 16 + 4 + 16);
    expect(bytes.includes(Buffer.from(plain.subarray(80, 120)))).toBe(false);
  });

  it.each(["encrypted", "encrypted-fields", "encrypted-gzip", "encrypted-fields-gzip"] as const)(
    "as %s: any byte changed, with the checksum forged or not, is no entry",
    async (name) => {
      const form = formOf(name);
      const value = { ...(entry.value as object), list: contacts(2) };
      const bytes = await form.encode(PATH, { ...entry, value }, 5);
      for (let at = 0; at < bytes.length; at++) {
        for (const mask of [0x01, 0x04, 0x08, 0xff]) {
          const flip = (view: DataView): void => view.setUint8(at, view.getUint8(at) ^ mask);
          const torn = Uint8Array.from(bytes);
          flip(new DataView(torn.buffer));
          if (at === SOFT_STALE_OFFSET && mask === 1) expect(await outcome(form, torn)).toMatchObject({ value });
          else expect(await outcome(form, torn)).toBeTypeOf("string");
          const read = await outcome(form, forged(bytes, flip));
          // Forging undoes a change of the checksum itself.
          if ((at === SOFT_STALE_OFFSET && mask === 1) || (at >= 12 && at < 16)) expect(read).toMatchObject({ value });
          else expect(read).toBeTypeOf("string");
        }
      }
    },
  );

  it.each(["encrypted", "encrypted-fields"] as const)(
    "as %s: an entry of another key is none of this one",
    async (name) => {
      const form = formOf(name);
      const bytes = await form.encode(PATH, entry, 5);
      expect(await outcome(form, bytes, "acme:contact:8:v1")).toContain("moved here");
      expect(await outcome(form, bytes, "globex:contact:7:v1")).toContain("moved here");
    },
  );

  it("takes nothing that is not encrypted: whoever writes to the tier cannot leave it out", async () => {
    const refused = "one that is not encrypted";
    for (const form of [whole, some, forms({ encryption: { ...encryption, entries: "all" } }).default]) {
      expect(await outcome(form, encodeEnvelope(entry, 5))).toContain(refused);
      expect(await outcome(form, await formOf("gzip").encode(PATH, { ...entry, value: contacts(9) }, 5))).toContain(
        refused,
      );
    }
    // Nor can a flag be taken from what is.
    const bytes = await whole.encode(PATH, entry, 5);
    const bare = forged(bytes, (view) => view.setUint32(16, view.getUint32(16, true) & ~FLAG_ENCRYPTED, true));
    expect(await outcome(whole, bare)).toContain(refused);
    expect(await outcome(plainForm, bare)).toBeTypeOf("string");
  });

  it("of all and of fields are read by one another, so that a declaration may change", async () => {
    expect(await outcome(whole, await some.encode(PATH, entry, 5))).toMatchObject({ value: entry.value });
    expect(await outcome(some, await whole.encode(PATH, entry, 5))).toMatchObject({ value: entry.value });
  });

  it("says so where a cache has no keys, or not this one", async () => {
    const bytes = await whole.encode(PATH, entry, 5);
    expect(await outcome(plainForm, bytes)).toContain("this cache has no keys");
    expect(await outcome(forms({ encryption }).default, bytes)).toContain(
      'the key "2024-05", which this cache does not have',
    );
  });
});

describe("an entity's declaration", () => {
  const all = { ...encryption, entries: "all" } as const;

  it("leaves out what it excludes of what others stored", async () => {
    const form = forms({ encryption }).of({ exclude: ["email", "phone"] });
    for (const stored of [plainForm, formOf("gzip")]) {
      const bytes = await stored.encode(
        PATH,
        { ...entry, value: { ...(entry.value as object), text: "ab".repeat(99) } },
        5,
      );
      const { value, ...rest } = await form.decode(PATH, bytes);
      expect(value).toEqual({ id: 7, name: "Ada", text: "ab".repeat(99) });
      expect(rest).toMatchObject({ tags: entry.tags, etag: entry.etag });
    }
  });

  it("is refused when it encrypts in a cache without keys that has a shared tier", () => {
    for (const encrypt of [true, ["email"]] as const) {
      expect(() => forms().of({ encrypt })).toThrow(
        expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining("encryption.keys") }),
      );
      expect(() => forms({ isShared: false }).of({ encrypt })).not.toThrow();
      expect(() => forms({ encryption }).of({ encrypt })).not.toThrow();
    }
  });

  it.each<[string, boolean, Parameters<typeof forms>[0], FormDeclaration]>([
    ["in neither list", false, { encryption }, { sensitive: ["email"] }],
    ["one of them in neither list", false, { encryption }, { sensitive: ["email", "phone"], encrypt: ["email"] }],
    ["encrypted", true, { encryption }, { sensitive: ["email"], encrypt: ["email"] }],
    ["encrypted with all", true, { encryption }, { sensitive: ["email"], encrypt: true }],
    ["encrypted as all entries are", true, { encryption: all }, { sensitive: ["email"] }],
    [
      "left out by a list where all would be encrypted",
      false,
      { encryption: all },
      { sensitive: ["email"], encrypt: ["phone"] },
    ],
    ["excluded", true, {}, { sensitive: ["email"], exclude: ["email"] }],
    [
      "one encrypted, one excluded",
      true,
      { encryption },
      { sensitive: ["email", "phone"], encrypt: ["email"], exclude: ["phone"] },
    ],
    ["in neither list, without a shared tier", true, { isShared: false }, { sensitive: ["email"] }],
  ])("whose sensitive field is %s is accepted: %s", (_, accepted, cache, declared) => {
    const declare = (): EntryForm => forms(cache).of(declared);
    if (accepted) expect(declare).not.toThrow();
    else
      expect(declare).toThrow(
        expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining("sensitive") }),
      );
  });

  it.each([
    [{ encrypt: false }, "encrypt"],
    [{ encrypt: [] }, "encrypt"],
    [{ encrypt: "email" }, "encrypt"],
    [{ encrypt: [""] }, "encrypt"],
    [{ exclude: true }, "exclude"],
    [{ exclude: [1] }, "exclude"],
    [{ sensitive: "email" }, "sensitive"],
    [{ sensitive: null }, "sensitive"],
    [{ compression: "gzip" }, "compression"],
  ])("refuses %j, naming %s, with a shared tier or without", (declared, named) => {
    for (const isShared of [true, false])
      expect(() => forms({ encryption, isShared }).of(declared as never)).toThrow(
        expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(`\`${named}\``) }),
      );
  });
});

describe("stored entries are read for ever", () => {
  const folder = new URL("../../test/fixtures/entries/", import.meta.url);
  const reader = anyReader();

  it.each(storedEntries.map((stored) => [`${stored.format}/${stored.name}`, stored] as const))(
    "reads %s",
    async (path, stored) => {
      const bytes = readFileSync(new URL(`${path}.bin`, folder));
      const read = await outcome(reader, bytes);
      if (typeof read === "string") {
        expect(canWrite(stored.form)).toBe(false);
        expect(read).toContain(`${stored.form}, algorithm`);
        return;
      }
      const { createdWall, softStale, ...fields } = read;
      expect(isSame(fields, stored.fields)).toBe(true);
      expect({ createdWall, softStale }).toEqual({ createdWall: stored.createdWall, softStale: stored.softStale });
    },
  );

  it.each(storedEntries.filter(({ form }) => form !== "plain"))(
    "reads nothing else from $name, cut or changed anywhere",
    async (stored) => {
      const bytes = readFileSync(new URL(`${stored.format}/${stored.name}.bin`, folder));
      for (let end = 0; end < bytes.length; end++)
        expect(await outcome(reader, bytes.subarray(0, end))).toBeTypeOf("string");
      for (let at = 0; at < bytes.length; at++) {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] as number) ^ 0xff;
        expect(await outcome(reader, changed)).toBeTypeOf("string");
      }
    },
  );

  it("knows every file that is stored", () => {
    const files = readdirSync(new URL("v1/", folder)).sort();
    expect(files).toEqual(storedEntries.map(({ name }) => `${name}.bin`).sort());
  });
});
