import type { Writable } from "node:stream";

/*
 * The contract of undici 7's cache stores, structurally: `types/cache-interceptor.d.ts` there. Only what is used is named.
 */

export type UndiciFields = Readonly<Record<string, string | readonly string[]>>;

/** Which response: `headers` are the request's, by names in lower case. */
export interface UndiciKey {
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>> | undefined;
}

/** A response without its body; times are milliseconds since the epoch. */
export interface UndiciResponse {
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly headers: Record<string, string | string[]>;
  readonly vary?: Record<string, string | string[] | null>;
  readonly etag?: string;
  readonly cacheControlDirectives?: object;
  readonly cachedAt: number;
  readonly staleAt: number;
  readonly deleteAt: number;
}

/** A stored response. */
export interface UndiciResult extends UndiciResponse {
  readonly cacheControlDirectives: object;
  readonly body: Buffer[];
}

/** What `interceptors.cache({ store })` takes. */
export interface UndiciCacheStore {
  get(key: UndiciKey): UndiciResult | undefined | Promise<UndiciResult | undefined>;
  /** Takes the body; `undefined` when the response is not to be stored. */
  createWriteStream(key: UndiciKey, value: UndiciResponse): Writable | undefined;
  /** Forgets the URL's responses, whatever their method and variant. */
  delete(key: UndiciKey): Promise<void>;
}
