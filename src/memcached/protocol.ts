import { CacheError } from "../errors.js";

/** One reply of the server to a meta command. */
export interface Reply {
  /** Two letters of a meta command ("HD", "VA", "EN", "NF", "NS", "EX", "MN"), or the first word of another line. */
  readonly code: string;
  /** The words after it: return flags, each a letter with its token. */
  readonly flags: readonly string[];
  /** Of a "VA". May be a view into what came from the socket, and is nobody else's. */
  readonly value: Uint8Array | undefined;
}

/** The longest value a server may send, in bytes: the largest item it has by default. Nothing of ours is as large. */
export const MAX_VALUE_LENGTH = 1_048_576;
/** The longest line, in bytes. Ours have no keys in them; an error's text is short. */
const MAX_LINE_LENGTH = 2_048;

const LF = 10;
const CR = 13;

/**
 * Cuts what comes from the socket into replies, wherever the packets end. Whatever is not exactly the protocol throws:
 * after it nothing on the connection can be told apart any more.
 *
 * Memory is bounded by one line and one value: a length is believed only up to `MAX_VALUE_LENGTH`.
 */
export class ReplyParser {
  readonly #reply: (reply: Reply) => void;
  /** The beginning of a line whose end has not come. */
  #line = "";
  /** A value that has not come to its end, with the CR LF after it, and how much of it is there. */
  #body: Uint8Array | undefined;
  #filled = 0;
  #flags: readonly string[] = [];

  constructor(reply: (reply: Reply) => void) {
    this.#reply = reply;
  }

  /** @throws CacheError `ERR_CACHE_TIER` for anything but replies. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at = this.#body === undefined ? this.#readLine(chunk, at) : this.#readBody(chunk, at);
  }

  #readLine(chunk: Buffer, from: number): number {
    const end = chunk.indexOf(LF, from);
    const part = chunk.toString("latin1", from, end === -1 ? chunk.length : end);
    if (this.#line.length + part.length > MAX_LINE_LENGTH) throw poisoned("a line without an end");
    const line = this.#line + part;
    if (end === -1) {
      this.#line = line;
      return chunk.length;
    }
    this.#line = "";
    if (!line.endsWith("\r")) throw poisoned("a line that does not end in CR LF");
    const words = line.slice(0, -1).split(" ");
    const code = words[0] ?? "";
    if (!/^[A-Z_]{2,32}$/.test(code)) throw poisoned("a line that is no reply");
    if (code !== "VA") {
      this.#reply({ code, flags: words.slice(1), value: undefined });
      return end + 1;
    }
    return this.#beginBody(chunk, end + 1, words);
  }

  #beginBody(chunk: Buffer, at: number, words: readonly string[]): number {
    const size = words[1] ?? "";
    const length = Number(size);
    if (!/^\d{1,10}$/.test(size) || length > MAX_VALUE_LENGTH) throw poisoned("a value of an impossible length");
    const flags = words.slice(2);
    const end = at + length + 2;
    if (end <= chunk.length) {
      this.#endBody(chunk.subarray(at, end), flags);
      return end;
    }
    this.#body = new Uint8Array(length + 2);
    this.#filled = 0;
    this.#flags = flags;
    return at;
  }

  #readBody(chunk: Buffer, at: number): number {
    const body = this.#body as Uint8Array;
    const end = Math.min(chunk.length, at + body.length - this.#filled);
    body.set(chunk.subarray(at, end), this.#filled);
    this.#filled += end - at;
    if (this.#filled === body.length) {
      this.#body = undefined;
      this.#endBody(body, this.#flags);
    }
    return end;
  }

  #endBody(body: Uint8Array, flags: readonly string[]): void {
    if (body.at(-2) !== CR || body.at(-1) !== LF) throw poisoned("a value that does not end where it should");
    // Not as a Buffer, whose `slice` is another.
    this.#reply({ code: "VA", flags, value: new Uint8Array(body.buffer, body.byteOffset, body.length - 2) });
  }
}

function poisoned(what: string): CacheError {
  return new CacheError("ERR_CACHE_TIER", `Expected a reply of memcached, got ${what}`);
}
