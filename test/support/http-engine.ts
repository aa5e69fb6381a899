import { onTestFinished } from "vitest";
import type { Cache } from "../../src/api.js";
import { createCache } from "../../src/cache.js";
import { formatHttpDate } from "../../src/http/dates.js";
import { HttpEngine } from "../../src/http/engine.js";
import type { Answer, CacheMode, OriginAnswer } from "../../src/http/exchange.js";
import { fieldValue, type Fields } from "../../src/http/fields.js";
import { resolveHttpOptions, type HttpCacheOptions } from "../../src/http/options.js";
import type { CacheOptions } from "../../src/options.js";
import { FakeClock } from "../../src/testing/fake-clock.js";

export const URL_A = "http://a.example/x";

/** What the origin answers: the other members are fields. */
export interface Told {
  readonly status?: number;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly [name: string]: unknown;
}
/** What the origin was asked. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly fields: Fields;
}

/** What else of a request: `GET` of `URL_A` unless it says otherwise. */
export interface Request {
  readonly method?: string;
  readonly url?: string;
  readonly content?: Uint8Array;
  readonly mode?: CacheMode;
}

export interface World {
  readonly clock: FakeClock;
  readonly cache: Cache;
  readonly asked: readonly Asked[];
  readonly ask: (fields?: Record<string, string>, more?: Request) => Promise<Answer>;
  /** The body of the answer. */
  readonly text: (fields?: Record<string, string>, more?: Request) => Promise<string>;
}

/**
 * A shared cache in front of an origin that answers as it is told, with the bytes as they are on the wire.
 *
 * @param viewOf what of the cache the responses are kept in.
 */
export function world(
  answers: (asked: Asked, number: number) => Told | Promise<Told>,
  options: HttpCacheOptions = {},
  cacheOptions: CacheOptions = {},
  viewOf: (cache: Cache) => Cache = (cache) => cache,
): World {
  const clock = new FakeClock();
  const cache = createCache({ clock, ...cacheOptions });
  onTestFinished(() => cache.close());
  const engine = new HttpEngine(viewOf(cache), resolveHttpOptions({ shared: true, clock, ...options }));
  const asked: Asked[] = [];
  const ask: World["ask"] = (fields = {}, { method = "GET", url = URL_A, content, mode = "default" } = {}) => {
    const send = async (own: Fields): Promise<OriginAnswer> => {
      const one = { method, url, fields: own };
      asked.push(one);
      const { status = 200, body, ...headers } = await answers(one, asked.length);
      const named: Fields = Object.entries({ date: formatHttpDate(clock.wall()), ...headers }).flatMap(
        ([name, value]) => (Array.isArray(value) ? value : [value]).map((line) => [name, String(line)] as const),
      );
      return {
        status,
        statusText: "",
        fields: named.filter(([, value]) => value !== "undefined"),
        body: streamed(body),
      };
    };
    const own = Object.entries(fields);
    return engine.handle({ method, url: new URL(url), fields: own, mode, signal: undefined, send, content });
  };
  const text: World["text"] = async (fields, more) => read(await ask(fields, more));
  return { clock, cache, asked, ask, text };
}

function streamed(body: Told["body"]): ReadableStream<Uint8Array> | null {
  if (body === undefined || body instanceof ReadableStream) return body ?? null;
  return new Blob([typeof body === "string" ? body : Uint8Array.from(body)]).stream();
}

/** The whole body. */
export async function read({ body }: Answer): Promise<string> {
  return body === null ? "" : new Response(body instanceof ReadableStream ? body : Uint8Array.from(body)).text();
}

/** A field of an answer. */
export const field = (answer: Answer, name: string): string | undefined => fieldValue(answer.fields, name);
/** A field of a request at the origin. */
export const sent = (asked: Asked | undefined, name: string): string | undefined =>
  fieldValue(asked?.fields ?? [], name);
