import { answerFrom } from "./answers.js";
import { noDirectives } from "./cache-control.js";
import type { Exchange } from "./exchange.js";
import { hasField, type Fields } from "./fields.js";
import { currentAge } from "./freshness.js";
import type { ResolvedHttpOptions } from "./options.js";
import type { ResponseStore } from "./response-store.js";
import { reuseOf } from "./reuse.js";
import { unpacked, type PackedResponse } from "./packed-response.js";

/** A stored response as a whole answer, ready to be written. */
export interface ReadyHit {
  readonly status: number;
  readonly statusText: string;
  readonly fields: Fields;
  /** The fields with the body's length, names and values by turns. */
  readonly lines: readonly string[];
  /** Bytes, or text of them, one character for each. */
  readonly body: string | Uint8Array;
}

/** What an answer to a plain request says before its body, as long as its age is the same in whole seconds. */
interface ReadyHead {
  readonly fields: Fields;
  readonly lines: readonly string[];
  /** Wall-clock milliseconds between which it holds. */
  readonly from: number;
  readonly until: number;
}

/** What makes a request more than plain: conditions, ranges, directives, and a body, which a hit would leave in its connection. */
const NOT_PLAIN: ReadonlySet<string> = new Set([
  "cache-control",
  "content-length",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "pragma",
  "range",
  "transfer-encoding",
]);

const ASKS_NOTHING = noDirectives();

/**
 * Fresh responses in memory for plain requests, which are most requests of a busy cache: without a promise, and with a head that is
 * put together once a second for each response. Everything else is `undefined` here and the engine's to answer, which would
 * give these the same answer.
 */
export class ReadyHits {
  readonly #store: ResponseStore;
  readonly #options: ResolvedHttpOptions;
  /** By the stored fields: readers of the cache are given copies of a response, and share what cannot be changed. */
  readonly #heads = new WeakMap<Fields, ReadyHead>();

  constructor(store: ResponseStore, options: ResolvedHttpOptions) {
    this.#store = store;
    this.#options = options;
  }

  find(exchange: Exchange): ReadyHit | undefined {
    const { method, mode, url, fields } = exchange;
    if (method !== "GET" || mode !== "default") return undefined;
    for (const [name] of fields) if (NOT_PLAIN.has(name)) return undefined;
    const response = this.#store.peek(url, fields);
    // Of a part nobody is answered whole.
    if (response === undefined || response.part !== undefined) return undefined;
    const now = this.#options.clock.wall();
    const known = this.#heads.get(response.fields);
    const head = known !== undefined && now >= known.from && now < known.until ? known : this.#head(response, exchange);
    if (head === undefined) return undefined;
    const { status, statusText, body } = response;
    return { status, statusText, fields: head.fields, lines: head.lines, body };
  }

  #head(held: PackedResponse, exchange: Exchange): ReadyHead | undefined {
    const response = unpacked(held);
    // What is stored encoded may have to be decoded for another client.
    if (hasField(response.fields, "content-encoding") || response.part !== undefined) return undefined;
    const now = this.#options.clock.wall();
    const reuse = reuseOf(response, ASKS_NOTHING, now, this.#options, false);
    if (reuse.verdict !== "serve") return undefined;
    const { fields, body } = answerFrom(response, exchange, { hit: true, ttl: reuse.left }, this.#options);
    if (body !== response.body) return undefined;
    const left = Math.round(reuse.left * 1_000);
    // Age and ttl, rounded down, both stay what they are until then; wall clocks have whole milliseconds.
    const same = Math.min(1_000 - (currentAge(response, now) % 1_000), (left % 1_000) + 1, left);
    const head = { fields, lines: linesOf(fields, response.body.length), from: now, until: now + same };
    this.#heads.set(response.fields, head);
    return head;
  }
}

function linesOf(fields: Fields, length: number): readonly string[] {
  const lines: string[] = [];
  for (const [name, value] of fields) if (name !== "content-length") lines.push(name, value);
  lines.push("content-length", String(length));
  return lines;
}
