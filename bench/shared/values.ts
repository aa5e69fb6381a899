import type { EntryFields } from "../../src/entries/entry.js";
import { newStamp } from "../../src/entries/envelope.js";
import { createForms, type EntryForm } from "../../src/entries/form.js";
import { contact } from "../core/workload.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";

const SIZES = [1_000, 10_000, 100_000];
const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index);

/** An entry's way to bytes and back, in every form, against JSON (which keeps neither types, tags nor a checksum). */
export async function values({ plan }: Setting): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const size of SIZES) {
    const fields = entryOf(size);
    const text = JSON.stringify(fields.value);
    const forms = Object.entries(allForms());
    const encoded = await Promise.all(forms.map(async ([, form]) => form.encode("k", fields, 0)));
    const counts = new Map(forms.map(([name], index) => [name, { bytes: encoded[index]?.length ?? 0 }]));
    counts.set("JSON", { bytes: Buffer.byteLength(text) });
    const count = (name: string): Readonly<Record<string, number>> => counts.get(name) ?? {};
    const encoding = forms.map(([name, form]) => contender(name, () => form.encode("k", fields, 0)));
    const decoding = forms.map(([name, form], index) =>
      contender(name, () => form.decode("k", encoded[index] as Uint8Array)),
    );
    const toText = contender("JSON", () => Buffer.from(JSON.stringify(fields.value)));
    const fromText = contender("JSON", () => JSON.parse(text) as unknown);
    const written = await interleave([toText, ...encoding], plan);
    const read = await interleave([fromText, ...decoding], plan);
    results.push(caseResult(`encode, ${size / 1_000} KB`, "an entry made bytes", written, count));
    results.push(caseResult(`decode, ${size / 1_000} KB`, "and read again", read, count));
  }
  return results;
}

function allForms(): Record<string, EntryForm> {
  const encryption = { keys: [{ id: "k", secret: SECRET }], entries: "all" } as const;
  const form = (options: object): EntryForm =>
    createForms({ cacheName: "bench", isShared: true, compression: undefined, encryption: undefined, ...options })
      .default;
  return {
    plain: form({}),
    gzip: form({ compression: { threshold: 1, algorithm: "gzip" } }),
    brotli: form({ compression: { threshold: 1, algorithm: "brotli" } }),
    encrypted: form({ encryption }),
    "gzip, encrypted": form({ compression: { threshold: 1, algorithm: "gzip" }, encryption }),
  };
}

/** A list of contacts of about that many bytes of JSON. */
function entryOf(bytes: number): EntryFields {
  const value = Array.from({ length: Math.max(1, Math.round(bytes / 500)) }, (_, id) => ({
    ...contact(id, 200),
    notes: `Met ${id * 7919} times, last in room ${id % 13}; prefers ${["mail", "phone", "a letter"][id % 3]}. `.repeat(
      4,
    ),
  }));
  return {
    value,
    stamp: newStamp(),
    ttl: 60_000,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    loadCost: 1,
    position: 1,
    tags: ["team:7"],
    fingerprint: 0,
    etag: undefined,
    sliding: false,
  };
}

function contender(name: string, one: () => unknown): Contender {
  return {
    name,
    async run(operations) {
      for (let left = operations; left > 0; left -= 1) {
        const made = one();
        if (made instanceof Promise) await made;
      }
    },
  };
}
