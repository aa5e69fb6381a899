import type { Cache, LoaderContext } from "../api.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { TagInput } from "../dependency-tag.js";
import type { ParamValue, ScopeInput, Segment } from "../keys.js";
import type { EntryPolicy } from "../options.js";
import { knownOptions, optionError, POLICY_FIELDS } from "../policy.js";
import {
  documentFacts,
  OBJECT_ID,
  TYPE_NAME,
  type DocumentFacts,
  type GraphqlDocument,
  type GraphqlSchema,
} from "./graphql-document.js";
import { scopeSegments } from "./scope.js";

/** How answers to GraphQL queries are kept. Anything of a policy (`ttl`, `staleWhileRevalidate` …) may be said as well. */
export interface EnvelopCacheOptions<C> extends EntryPolicy {
  /** Whose the answer is: the user's id, say, or `undefined` for everybody's. Either this or `shared`. */
  session?: ((context: C) => ScopeInput | undefined | Promise<ScopeInput | undefined>) | undefined;
  /** Every caller gets the same answers: they must not depend on the context. */
  shared?: true | undefined;
  /** Life of an answer with an object of a type, or a field: `{ Stock: "1s", "Query.now": 0 }`. Of several, `ttl` among them, the least; 0 is not stored. @default {} */
  ttls?: Readonly<Record<string, Duration>> | undefined;
  /** Tags of an object, in an answer and in what a mutation invalidates. @default ["<type>", "<id>"] */
  tagsOf?: ((type: string, id: string) => readonly TagInput[]) | undefined;
  /** Objects that a mutation returns are invalidated. @default true */
  invalidateByMutation?: boolean | undefined;
  /** First segment of the keys. @default "graphql" */
  name?: string | undefined;
}

/** A result of GraphQL's execution. */
export interface GraphqlResult {
  readonly data?: unknown;
  readonly errors?: readonly unknown[] | undefined;
  readonly extensions?: unknown;
}

interface ExecutionArguments {
  readonly document: unknown;
  readonly schema: unknown;
  readonly operationName?: string | null | undefined;
  readonly variableValues?: unknown;
  // The application's, with what Yoga adds: no type here says it.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly contextValue?: any;
}

/** What envelop tells a plugin that is about to execute, as far as it matters here. */
export interface EnvelopExecution {
  readonly args: ExecutionArguments;
  // Both are functions of envelop's own types, whose arguments are graphql-js' of the application's version.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly executeFn: (args: any) => unknown;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly setExecuteFn: (execute: any) => void;
}

/** A plugin for envelop 5, and so for GraphQL Yoga 5. */
export interface EnvelopCachePlugin {
  onExecute(execution: EnvelopExecution): void;
}

/** Objects of one answer that may be tagged; a larger one is not stored, as it could not be invalidated by all of them. */
const MAX_OBJECTS = 1_000;

/**
 * A plugin that answers queries from a cache, by their document, operation, variables and session. An answer carries the tags of the
 * objects in it, by type (`["Contact"]`) and by type and id (`["Contact", "7"]`); the plugin asks for both where the query does not.
 * Mutations invalidate the objects they return. `@cacheControl(maxAge:, scope:)` in the schema is heeded.
 *
 * Never stored: answers with errors, mutations, subscriptions, what comes in parts (`@defer`, `@stream`), queries of the schema alone,
 * and those whose variables cannot be part of a key (files).
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value; for options that say neither `session` nor `shared`.
 */
// The context is the application's, and envelop's own default is any.
// oxlint-disable-next-line typescript/no-explicit-any
export function envelopCache<C = any>(cache: Cache, options: EnvelopCacheOptions<C>): EnvelopCachePlugin {
  const known = ["session", "shared", "ttls", "tagsOf", "invalidateByMutation", "name"];
  knownOptions(options, [...POLICY_FIELDS, ...known], "envelopCache");
  const { session, shared, ttls = {}, tagsOf, invalidateByMutation = true, name = "graphql", ...policy } = options;
  if (session !== undefined && typeof session !== "function") throw optionError("session", "a function", session);
  if ((session === undefined) === (shared !== true)) {
    throw optionError("session", "a function that says whose an answer is, or else `shared: true`", session);
  }
  if (typeof name !== "string" || name === "") throw optionError("name", "a text of 1 character or more", name);
  const limits = Object.entries(ttls).map(([of, ttl]) => [of, toMilliseconds(ttl, `ttls.${of}`)] as const);
  const answers = new Answers<C>(cache, {
    session,
    policy,
    limits: new Map(limits),
    tagsOf: tagsOf ?? ((type, id) => [[type, id]]),
    invalidates: invalidateByMutation,
    name,
  });
  return { onExecute: (execution) => answers.onExecute(execution) };
}

interface Settings<C> {
  readonly session: EnvelopCacheOptions<C>["session"];
  readonly policy: EntryPolicy;
  /** Milliseconds, by type and by field. */
  readonly limits: ReadonlyMap<string, number>;
  readonly tagsOf: (type: string, id: string) => readonly TagInput[];
  readonly invalidates: boolean;
  readonly name: string;
}

type Execute = () => Promise<GraphqlResult | AsyncIterable<unknown>>;

class Answers<C> {
  readonly #cache: Cache;
  readonly #settings: Settings<C>;
  /** Yoga and envelop keep the documents they have parsed. */
  readonly #facts = new WeakMap<object, Map<string, { readonly schema: object; readonly facts: DocumentFacts }>>();

  constructor(cache: Cache, settings: Settings<C>) {
    this.#cache = cache;
    this.#settings = settings;
  }

  onExecute({ args, executeFn, setExecuteFn }: EnvelopExecution): void {
    const facts = this.#factsOf(args);
    // An alias of ours would tell what an object is in our place, and so what a mutation invalidates.
    if (facts.isReserved)
      return setExecuteFn(() => ({ errors: [new Error("Aliases that begin with tiercache__ are reserved")] }));
    if (facts.operation === "other" || facts.isIntrospection || facts.isIncremental) return;
    if (facts.operation === "mutation" && !this.#settings.invalidates) return;
    setExecuteFn((given: ExecutionArguments) => {
      const execute: Execute = async () =>
        (await executeFn({ ...given, document: facts.told })) as GraphqlResult | AsyncIterable<unknown>;
      return facts.operation === "mutation" ? this.#mutate(execute) : this.#query(facts, given, execute);
    });
  }

  async #query(facts: DocumentFacts, args: ExecutionArguments, execute: Execute): Promise<unknown> {
    const { session, policy, name } = this.#settings;
    const scope = await session?.(args.contextValue as C);
    const ttl = this.#fieldTtl(facts);
    // What is private is nobody's where nobody is known.
    if (ttl === 0 || (facts.isPrivate && scope === undefined)) return withoutTold(await execute(), new Found());
    const operation = { operation: args.operationName ?? undefined, variables: args.variableValues as ParamValue };
    const key: readonly Segment[] = [name, ...scopeSegments(scope), facts.digest, operation];
    let executed = false;
    const load = async (context: LoaderContext): Promise<GraphqlResult> => {
      executed = true;
      const found = new Found();
      const result = withoutTold(await execute(), found);
      this.#describe(result, found, ttl, context);
      return result;
    };
    try {
      // The result itself is often added to by those who come after.
      return { ...(await this.#cache.getOrLoad(key, load, policy)) };
    } catch (error) {
      const unnamed = error instanceof CacheError && error.code === "ERR_CACHE_KEY" && !executed;
      if (unnamed) return withoutTold(await execute(), new Found());
      throw error;
    }
  }

  #describe(result: GraphqlResult, found: Found, ttl: number | undefined, context: LoaderContext): void {
    const { limits, tagsOf } = this.#settings;
    const known = [ttl, ...Array.from(found.types, (type) => limits.get(type))].filter((one) => one !== undefined);
    const least = known.length === 0 ? undefined : Math.min(...known);
    const isWhole = result.errors === undefined || result.errors.length === 0;
    if (!isWhole || least === 0 || found.objects.size > MAX_OBJECTS) return context.skip();
    if (least !== undefined) context.ttl(least);
    for (const type of found.types) context.tags([type]);
    for (const [type, id] of found.objects.values()) context.tags(...tagsOf(type, id));
  }

  /** Milliseconds: the least that is said of what the query asks for. */
  #fieldTtl({ fields, maxAge }: DocumentFacts): number | undefined {
    const said = fields.map((field) => this.#settings.limits.get(field)).filter((one) => one !== undefined);
    if (maxAge !== undefined) said.push(maxAge * 1_000);
    const { ttl } = this.#settings.policy;
    if (said.length > 0 && (typeof ttl === "number" || typeof ttl === "string")) said.push(toMilliseconds(ttl, "ttl"));
    return said.length === 0 ? undefined : Math.min(...said);
  }

  async #mutate(execute: Execute): Promise<unknown> {
    const found = new Found();
    const result = withoutTold(await execute(), found);
    const tags = Array.from(found.objects.values(), ([type, id]) => this.#settings.tagsOf(type, id)).flat();
    // What failed may have changed some of it, so an answer with errors counts as well.
    try {
      if (tags.length > 0) await this.#cache.invalidate({ tags });
    } catch {
      // The mutation is done. This process serves nothing of it, and the cache sends the invalidation again.
    }
    return result;
  }

  #factsOf({ document, operationName, schema }: ExecutionArguments): DocumentFacts {
    const of = document as object;
    const known = this.#facts.get(of) ?? new Map<string, { schema: object; facts: DocumentFacts }>();
    this.#facts.set(of, known);
    const name = operationName ?? "";
    const before = known.get(name);
    if (before !== undefined && before.schema === schema) return before.facts;
    const facts = documentFacts(document as GraphqlDocument, operationName, schema as GraphqlSchema);
    // A name that the document does not have comes from outside, and is not remembered.
    if (facts.operation !== "other") known.set(name, { schema: schema as object, facts });
    return facts;
  }
}

/** The objects of an answer. */
class Found {
  readonly types = new Set<string>();
  readonly objects = new Map<string, readonly [type: string, id: string]>();
}

/** Takes out of a result what was asked for beside the query, and keeps it in `found`. A stream is nobody's but the caller's. */
function withoutTold(result: GraphqlResult | AsyncIterable<unknown>, found: Found): GraphqlResult {
  if (Symbol.asyncIterator in result) {
    throw new CacheError("ERR_CACHE_VALUE", "Expected the result of a query or mutation to be whole, got a stream");
  }
  return result.data === undefined ? result : { ...result, data: plain(result.data, found) };
}

function plain(part: unknown, found: Found): unknown {
  if (Array.isArray(part)) return part.map((item) => plain(item, found));
  if (typeof part !== "object" || part === null) return part;
  const prototype: unknown = Object.getPrototypeOf(part);
  // A scalar's own value: a date, say.
  if (prototype !== Object.prototype && prototype !== null) return part;
  const { [TYPE_NAME]: type, [OBJECT_ID]: id, ...fields } = part as Readonly<Record<string, unknown>>;
  if (typeof type === "string") {
    found.types.add(type);
    if (typeof id === "string" || typeof id === "number") found.objects.set(`${type} ${id}`, [type, String(id)]);
  }
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value, found)]));
}
