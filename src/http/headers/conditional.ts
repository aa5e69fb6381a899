import { optionError } from "../../policy.js";
import { formatHttpDate, parseHttpDate } from "../dates.js";
import { parseEntityTag, parseEntityTags, strongMatch, weakMatch, type EntityTag } from "../entity-tag.js";

/** A request as its handlers get it: of node:http, Express, Fastify, Hono (`c.req.raw`) or `fetch`. */
export interface ConditionalRequest {
  readonly method?: string | undefined;
  readonly headers: FieldsOf | { get(name: string): string | null };
}

type FieldsOf = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The current state of what the request is about. */
export interface CurrentState {
  /** Its entity tag; `undefined` when it has none. */
  readonly etag?: string | undefined;
  /** When it was last changed. */
  readonly lastModified?: Date | number | undefined;
  /** There is such a thing: `If-Match: *` is about that. @default true */
  readonly exists?: boolean | undefined;
  /** Unsafe requests without If-Match or If-Unmodified-Since are answered 428 (RFC 6585 §3): nobody overwrites unseen. @default false */
  readonly required?: boolean | undefined;
}

/** What to answer, if anything but the usual. */
export type Conditional =
  /** Go on, and send these headers with the answer. */
  | { readonly verdict: "proceed"; readonly status: undefined; readonly headers: Record<string, string> }
  /** Answer with the status and these headers, without a body. */
  | {
      readonly verdict: "not-modified" | "failed" | "required";
      readonly status: 304 | 412 | 428;
      readonly headers: Record<string, string>;
    };

/**
 * Judges a request's conditions by the current state, in the order of RFC 9110 §13.2.2: If-Match, If-Unmodified-Since, If-None-Match,
 * If-Modified-Since. GET and HEAD of what the client has are 304; a change of what it has not seen is 412, so that of two who change the
 * same thing one learns it. If-Match compares strongly: a weak tag never matches it.
 *
 * Between the judgement and the write somebody else may write: do both in one transaction, or make the write itself conditional.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a tag or a date that is none.
 */
export function conditional(request: ConditionalRequest, state: CurrentState): Conditional {
  const method = (request.method ?? "GET").toUpperCase();
  const current = currentOf(state);
  const headers: Record<string, string> = {};
  if (state.etag !== undefined) headers["etag"] = state.etag;
  if (current.modified !== undefined) headers["last-modified"] = formatHttpDate(current.modified);
  const isRead = method === "GET" || method === "HEAD";
  const verdict = judge((name) => fieldOf(request, name), current, isRead, state.required === true);
  if (verdict === "proceed") return { verdict, status: undefined, headers };
  return { verdict, status: STATUSES[verdict], headers };
}

const STATUSES = { "not-modified": 304, failed: 412, required: 428 } as const;

interface Current {
  readonly tag: EntityTag | undefined;
  /** Whole seconds, as the header says it; milliseconds since the epoch. */
  readonly modified: number | undefined;
  readonly exists: boolean;
}

function judge(
  field: (name: string) => string | undefined,
  current: Current,
  isRead: boolean,
  isRequired: boolean,
): Conditional["verdict"] {
  const match = field("if-match");
  const unmodified = field("if-unmodified-since");
  if (match !== undefined) {
    if (!matches(match, current, strongMatch)) return "failed";
  } else if (unmodified !== undefined) {
    const since = parseHttpDate(unmodified, Date.now());
    // A date that is none does not count (§13.1.4); without a time of change nobody knows that it still holds.
    if (since !== undefined && (current.modified === undefined || current.modified > since)) return "failed";
  } else if (isRequired && !isRead) return "required";
  const noneMatch = field("if-none-match");
  if (noneMatch !== undefined) {
    if (!matches(noneMatch, current, weakMatch)) return "proceed";
    return isRead ? "not-modified" : "failed";
  }
  const modifiedSince = isRead ? field("if-modified-since") : undefined;
  const since = modifiedSince === undefined ? undefined : parseHttpDate(modifiedSince, Date.now());
  if (since === undefined || current.modified === undefined || !current.exists) return "proceed";
  return current.modified <= since ? "not-modified" : "proceed";
}

/** A malformed list matches nothing. */
function matches(list: string, { tag, exists }: Current, equal: (a: EntityTag, b: EntityTag) => boolean): boolean {
  const tags = parseEntityTags(list);
  if (tags === "*") return exists;
  return exists && tag !== undefined && tags !== undefined && tags.some((one) => equal(one, tag));
}

function currentOf({ etag, lastModified, exists = true }: CurrentState): Current {
  const tag = etag === undefined ? undefined : parseEntityTag(etag);
  if (etag !== undefined && tag === undefined) throw optionError("etag", "an entity tag with its quotes", etag);
  const time = lastModified instanceof Date ? lastModified.getTime() : lastModified;
  if (time !== undefined && !Number.isFinite(time)) throw optionError("lastModified", "a date", lastModified);
  return { tag, modified: time === undefined ? undefined : Math.floor(time / 1_000) * 1_000, exists };
}

function fieldOf({ headers }: ConditionalRequest, name: string): string | undefined {
  if (typeof headers.get === "function") return headers.get(name)?.trim() ?? undefined;
  const value = (headers as FieldsOf)[name];
  return typeof value === "string" ? value.trim() : value?.join(", ");
}
