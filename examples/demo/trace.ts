import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { pipeline, type Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** A trace that cannot be read; the message names the file, and the line where there is one. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

/** The longest key a line may hold, in UTF-16 units. */
const MAX_KEY = 1_024;

/**
 * The keys of a trace, one per line, in lists as they are read: never the whole file. Plain text or gzip, told by the first bytes.
 *
 * @throws TraceError when the file cannot be read, holds no key, or a line is not one key.
 */
export async function* readTrace(path: string): AsyncGenerator<readonly string[], void, undefined> {
  const decoder = new StringDecoder("utf8");
  let line = 0;
  let rest = "";
  try {
    for await (const chunk of await openTrace(path)) {
      const lines = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_KEY) {
        checkedKey(path, line + lines.length + 1, rest);
      }
      const keys = lines.map((text, index) => checkedKey(path, line + index + 1, text));
      line += lines.length;
      if (keys.length > 0) {
        yield keys;
      }
    }
  } catch (cause) {
    if (cause instanceof TraceError) {
      throw cause;
    }
    const where = line === 0 ? path : `${path}, after line ${line}`;
    throw new TraceError(`Cannot read the trace ${where}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  const last = rest + decoder.end();
  if (last !== "") {
    yield [checkedKey(path, line + 1, last)];
  } else if (line === 0) {
    throw new TraceError(`The trace ${path} holds no keys`);
  }
}

/** Reads the trace again and again, one key at a time. */
export class TraceKeys {
  readonly #path: string;
  #reader: AsyncGenerator<readonly string[], void, undefined>;
  #keys: readonly string[] = [];
  #next = 0;
  #filling: Promise<void> | undefined;
  /** Times the end of the file was reached. */
  passes = 0;

  constructor(path: string) {
    this.#path = path;
    this.#reader = readTrace(path);
  }

  /** The next key; a promise only when the file must be read further. */
  next(): string | Promise<string> {
    const key = this.#keys[this.#next];
    if (key === undefined) {
      return this.#readOn();
    }
    this.#next += 1;
    return key;
  }

  async close(): Promise<void> {
    await this.#filling?.catch(() => undefined);
    await this.#reader.return();
  }

  async #readOn(): Promise<string> {
    // One read for all who wait; a key each.
    while (this.#next >= this.#keys.length) {
      this.#filling ??= this.#fill().finally(() => (this.#filling = undefined));
      await this.#filling;
    }
    return this.next();
  }

  async #fill(): Promise<void> {
    let read = await this.#reader.next();
    if (read.done === true) {
      this.passes += 1;
      this.#reader = readTrace(this.#path);
      read = await this.#reader.next();
    }
    this.#keys = read.value ?? [];
    this.#next = 0;
  }
}

/** Which of `count` entities a key names: a number modulo `count`, other text by its hash (FNV-1a). */
export function entityOf(key: string, count: number): number {
  if (/^\d+$/.test(key)) {
    return key.length < 16 ? Number(key) % count : Number(BigInt(key) % BigInt(count));
  }
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash % count;
}

function checkedKey(path: string, line: number, text: string): string {
  const key = text.endsWith("\r") ? text.slice(0, -1) : text;
  if (key === "" || key.length > MAX_KEY || /[\s\u0000-\u001f\ufffd]/.test(key)) {
    const got = key.length > 40 ? `${JSON.stringify(key.slice(0, 40))} and more` : JSON.stringify(key);
    throw new TraceError(`${path}, line ${line}: expected one key of 1 to ${MAX_KEY} visible characters, got ${got}`);
  }
  return key;
}

async function openTrace(path: string): Promise<Readable> {
  const file = await open(path);
  let compressed: boolean;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    compressed = bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
  const bytes = createReadStream(path);
  // pipeline hands the file's errors on to the reader of the other end.
  return compressed ? pipeline(bytes, createGunzip(), () => undefined) : bytes;
}
