import type { Fields } from "./fields.js";

/** What the origin answers. */
export interface OriginAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly fields: Fields;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** How a stored response and the origin are used for one request; the words are the Fetch standard's. */
export type CacheMode = "default" | "no-store" | "reload" | "no-cache" | "force-cache" | "only-if-cached";

/** A request as the engine sees it. */
export interface Exchange {
  /** In capitals. */
  readonly method: string;
  /** Absolute, without a fragment. */
  readonly url: URL;
  readonly fields: Fields;
  readonly mode: CacheMode;
  /** Ends this request's wait; the origin's work goes on while others wait for it. */
  readonly signal: AbortSignal | undefined;
  /** The content of a QUERY, all of it: without it the request goes by the cache. `send` sends it, once or twice. */
  readonly content?: Uint8Array | undefined;
  /** Asks the origin: this request with these fields, its body included if it has one. */
  readonly send: (fields: Fields, signal: AbortSignal | undefined) => Promise<OriginAnswer>;
}

/** What the client gets. */
export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly fields: Fields;
  readonly body: ReadableStream<Uint8Array> | Uint8Array | null;
}
