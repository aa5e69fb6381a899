import type { Cache, LoaderContext } from "../api.js";
import { CacheError } from "../errors.js";
import type { TagInput } from "../dependency-tag.js";
import type { ParamValue, ScopeInput, Segment } from "../keys.js";
import type { EntryPolicy } from "../options.js";
import { knownOptions, optionError, POLICY_FIELDS } from "../policy.js";
import { scopeSegments } from "./scope.js";

/** What tRPC tells a middleware, as far as it matters here. */
export interface TrpcCall<C> {
  readonly ctx: C;
  readonly type: "query" | "mutation" | "subscription";
  /** The procedure's: `contacts.byId`. */
  readonly path: string;
  /** As the validators before the middleware left it. */
  readonly input: unknown;
  /** As it was sent. */
  readonly getRawInput?: (() => Promise<unknown>) | undefined;
}

/** How a query's answers are kept. Anything of a policy (`ttl`, `staleWhileRevalidate` …) may be said as well. */
export interface TrpcCacheOptions<C> extends EntryPolicy {
  /** Whose the answer is: the user's id, say, or `undefined` for everybody's. Either this or `shared`. */
  scope?: ((ctx: C) => ScopeInput | undefined | Promise<ScopeInput | undefined>) | undefined;
  /** Every caller gets the same answers: they must not depend on the context. */
  shared?: true | undefined;
  /** Tags of the entry, from what the procedure gave. */
  tags?: readonly TagInput[] | ((data: unknown, call: TrpcCall<C>) => readonly TagInput[]) | undefined;
  /** First segment of the keys. @default "trpc" */
  name?: string | undefined;
}

/** A middleware that fits `procedure.use(…)`; what tRPC calls a result is its own. */
export type TrpcMiddleware<C> = <R>(call: TrpcCall<C> & { readonly next: () => Promise<R> }) => Promise<R>;

/** The result of a procedure, as tRPC hands it from one middleware to the one before. */
interface Result {
  readonly ok: boolean;
  readonly data?: unknown;
  readonly error?: unknown;
}

/** What is stored: the data. */
interface Answer {
  readonly data: unknown;
  /** It can be read once: the first caller's alone. */
  readonly own: boolean;
}

/**
 * Middleware for tRPC 11 that answers queries from a cache, by path, input and scope: `procedure.input(…).use(trpcCache(cache, { scope }))`. Put
 * it after what checks who may ask: it answers in place of whatever follows. Mutations and subscriptions pass. The input counts as it was sent,
 * too: an `input(…)` that follows has not read it yet.
 *
 * Errors are not stored. Inputs that cannot be part of a key (class instances, `Map`, cycles) are not cached, and neither are data that
 * cannot be stored. What a middleware behind it adds to the context is not there when the cache answers.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value; for options that say neither `scope` nor `shared`.
 */
export function trpcCache<C = unknown>(cache: Cache, options: TrpcCacheOptions<C>): TrpcMiddleware<C> {
  knownOptions(options, [...POLICY_FIELDS, "scope", "shared", "tags", "name"], "trpcCache");
  const { scope, shared, tags, name = "trpc", ...policy } = options;
  if (scope !== undefined && typeof scope !== "function") throw optionError("scope", "a function", scope);
  if ((scope === undefined) === (shared !== true)) {
    throw optionError("scope", "a function that says whose an answer is, or else `shared: true`", scope);
  }
  if (typeof name !== "string" || name === "") throw optionError("name", "a text of 1 character or more", name);
  return async <R>(call: TrpcCall<C> & { readonly next: () => Promise<R> }): Promise<R> => {
    if (call.type !== "query") return call.next();
    let result: (R & Result) | undefined;
    const load = async (context: LoaderContext): Promise<Answer> => {
      result = (await call.next()) as R & Result;
      if (!result.ok) throw result.error;
      if (isReadOnce(result.data)) {
        context.skip();
        return { data: undefined, own: true };
      }
      context.tags(...(typeof tags === "function" ? tags(result.data, call) : (tags ?? [])));
      return { data: result.data, own: false };
    };
    const sent = await call.getRawInput?.();
    // Where they are the same, once.
    const input = { input: call.input as ParamValue, sent: sent === call.input ? undefined : (sent as ParamValue) };
    const key: readonly Segment[] = [name, ...scopeSegments(await scope?.(call.ctx)), call.path, input];
    try {
      const answer = await cache.getOrLoad(key, load, policy);
      if (answer.own) return result ?? (await call.next());
      return result?.ok === true ? result : ({ ok: true, data: answer.data, marker: "middlewareMarker" } as R);
    } catch (error) {
      // The procedure's own failure, as it came.
      if (result?.ok === false && result.error === error) return result;
      if (result === undefined && error instanceof CacheError && error.code === "ERR_CACHE_KEY") return call.next();
      throw error;
    }
  };
}

/** Streams and generators are one reader's. */
function isReadOnce(data: unknown): boolean {
  if (typeof data !== "object" || data === null) return false;
  return Symbol.asyncIterator in data || "getReader" in data || (Symbol.iterator in data && "next" in data);
}
