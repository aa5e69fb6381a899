import { CacheError } from "../errors.js";
import { noDirectives } from "./cache-control.js";
import { withCacheStatus } from "./cache-status.js";
import { acceptsEncoding, isDecodable } from "./encoding.js";
import type { Exchange } from "./exchange.js";
import { hasField, withField, type Fields } from "./fields.js";
import { currentAge } from "./freshness.js";
import type { ResolvedHttpOptions } from "./options.js";
import type { PackedResponse } from "./packed-response.js";
import type { ResponseStore } from "./response-store.js";
import { reuseOf } from "./reuse.js";
import { ASKING_FIELDS } from "./validation.js";

/** A stored response as a whole answer, ready to be written. */
export interface ReadyHit {
  readonly status: number;
  readonly statusText: string;
  /** The same object for as long as it holds, as `lines` is. */
  readonly fields: Fields;
  /** The fields with the body's length, names and values by turns. */
  readonly lines: readonly string[];
  /** Bytes, or text of them, one character for each. */
  readonly body: string | Uint8Array;
}

/** What a plain request is answered, as long as its age is the same in whole seconds. */
interface Ready {
  readonly hit: ReadyHit;
  /** It is stored encoded, and has to be decoded for whoever does not accept that. */
  readonly isNegotiated: boolean;
  /** Wall-clock milliseconds between which it holds. */
  readonly from: number;
  readonly until: number;
}

/** What makes a request more than plain: what it asks for, and a body, which a hit would leave in its connection. */
const NOT_PLAIN: ReadonlySet<string> = new Set([...ASKING_FIELDS, "content-length", "transfer-encoding"]);

const ASKS_NOTHING = noDirectives();

/** What is looked at of a request. */
export type PlainExchange = Pick<Exchange, "method" | "url" | "fields" | "mode">;

/**
 * Fresh responses in memory for plain requests, which are most requests of a busy cache: without a promise, and with a head that is
 * put together once a second for each response. Everything else is `undefined` here and the engine's to answer, which would
 * give these the same answer.
 */
export class ReadyHits {
  readonly #store: ResponseStore;
  readonly #options: ResolvedHttpOptions;
  /** By the stored fields: readers of the cache are given copies of a response, and share what cannot be changed. */
  readonly #known = new WeakMap<Fields, Ready>();

  constructor(store: ResponseStore, options: ResolvedHttpOptions) {
    this.#store = store;
    this.#options = options;
  }

  find(exchange: PlainExchange): ReadyHit | undefined {
    const { method, mode, url, fields } = exchange;
    if (method !== "GET" || mode !== "default") return undefined;
    for (const [name] of fields) if (NOT_PLAIN.has(name)) return undefined;
    const response = this.#peek(url, fields);
    // Of a part nobody is answered whole.
    if (response === undefined || response.part !== undefined) return undefined;
    const now = this.#options.clock.wall();
    const known = this.#known.get(response.fields);
    const ready = known !== undefined && now >= known.from && now < known.until ? known : this.#make(response, now);
    if (ready === undefined) return undefined;
    if (ready.isNegotiated && !acceptsEncoding(response.fields, fields)) return undefined;
    const { hit } = ready;
    // Bytes are another copy each time, and nobody else's.
    return hit.body === response.body ? hit : { ...hit, body: response.body };
  }

  /** A cache that fails holds nothing: what it says is for `handle`. */
  #peek(url: URL, fields: Fields): PackedResponse | undefined {
    try {
      return this.#store.peek(url, fields);
    } catch (error) {
      if (error instanceof CacheError) return undefined;
      throw error;
    }
  }

  #make(response: PackedResponse, now: number): Ready | undefined {
    const { status, statusText, body, fields: stored } = response;
    // No more of it than the head is looked at here.
    const reuse = reuseOf(response, ASKS_NOTHING, now, this.#options, false);
    if (reuse.verdict !== "serve") return undefined;
    const age = currentAge(response, now);
    const aged = withField(stored, "age", String(Math.floor(age / 1_000)));
    const fields = withCacheStatus(aged, this.#options.name, { hit: true, ttl: reuse.left });
    const left = Math.round(reuse.left * 1_000);
    // Age and ttl, rounded down, both stay what they are until then; wall clocks have whole milliseconds.
    const same = Math.min(1_000 - (age % 1_000), (left % 1_000) + 1, left);
    const lines = linesOf(status, fields, body.length);
    const isNegotiated = hasField(stored, "content-encoding") && isDecodable(stored, this.#options);
    const ready = { hit: { status, statusText, fields, lines, body }, isNegotiated, from: now, until: now + same };
    this.#known.set(stored, ready);
    return ready;
  }
}

function linesOf(status: number, fields: Fields, length: number): readonly string[] {
  const lines: string[] = [];
  for (const [name, value] of fields) if (name !== "content-length") lines.push(name, value);
  // No length may be said where there is no body (RFC 9110 §8.6).
  if (status !== 204) lines.push("content-length", String(length));
  return lines;
}
