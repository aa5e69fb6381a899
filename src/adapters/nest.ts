import type { CallHandler, DynamicModule, ExecutionContext, FactoryProvider, NestInterceptor } from "@nestjs/common";
import type { Cache, LoaderContext } from "../api.js";
import { createCache } from "../cache.js";
import type { TagInput } from "../dependency-tag.js";
import type { ScopeInput } from "../keys.js";
import type { CacheOptions, EntryPolicy } from "../options.js";
import { knownOptions, optionError, POLICY_FIELDS } from "../policy.js";
import { scopeSegments, type ScopeOf } from "./scope.js";

/** The token of the application's cache: `constructor(@Inject(TIERCACHE) private readonly cache: Cache)`. */
export const TIERCACHE: unique symbol = Symbol.for("tiercache.cache") as never;

/** A cache to make, which is closed with the application; or one that is there, which is not. */
export type TiercacheModuleOptions = CacheOptions | { readonly cache: Cache };

export interface TiercacheModuleAsyncOptions {
  // The arguments are what `inject` names, which no type says.
  // oxlint-disable-next-line typescript/no-explicit-any
  useFactory: (...dependencies: any[]) => TiercacheModuleOptions | Promise<TiercacheModuleOptions>;
  inject?: FactoryProvider["inject"] | undefined;
  imports?: DynamicModule["imports"] | undefined;
}

/** The request, as far as a response is chosen by it: Express' or Fastify's. */
export interface NestRequest {
  readonly method: string;
  readonly url: string;
  readonly originalUrl?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Set by guards. */
  readonly user?: unknown;
}

/** How a handler's result is kept. Anything of a policy (`ttl`, `staleWhileRevalidate` …) may be said as well. */
export interface CacheResponseOptions extends EntryPolicy {
  /** Tags of the entry. */
  tags?: readonly TagInput[] | ((value: unknown, request: NestRequest) => readonly TagInput[]) | undefined;
  /** Request headers that the result depends on: their values are in the key. */
  vary?: readonly string[] | undefined;
  /**
   * Whose the result is, of a request that has credentials: its user's id, or `undefined` for everybody's. Without it such requests
   * are not cached.
   */
  scope?: ScopeOf<NestRequest> | undefined;
}

const OPTIONS: unique symbol = Symbol.for("tiercache.response") as never;
const CACHE_OPTIONS: unique symbol = Symbol.for("tiercache.module-options") as never;
const CLOSER: unique symbol = Symbol.for("tiercache.closer") as never;
/** The value of `APP_INTERCEPTOR` of @nestjs/core. */
const APP_INTERCEPTOR = "APP_INTERCEPTOR";

/** What makes the cache an application's: global, with the interceptor of `@CacheResponse`. */
// oxlint-disable-next-line typescript/no-extraneous-class -- Nest.js takes a class for a module's name
export class TiercacheModule {
  /** @throws CacheError `ERR_CACHE_OPTION` when the application starts, for options that `createCache` refuses. */
  static forRoot(options: TiercacheModuleOptions = {}): DynamicModule {
    return TiercacheModule.forRootAsync({ useFactory: () => options });
  }

  static forRootAsync({ useFactory, inject = [], imports = [] }: TiercacheModuleAsyncOptions): DynamicModule {
    return {
      module: TiercacheModule,
      global: true,
      imports,
      providers: [
        { provide: CACHE_OPTIONS, useFactory, inject },
        { provide: TIERCACHE, useFactory: (options) => cacheOf(options), inject: [CACHE_OPTIONS] },
        {
          provide: CLOSER,
          useFactory: (cache, options) => closerOf(cache, options),
          inject: [TIERCACHE, CACHE_OPTIONS],
        },
        { provide: APP_INTERCEPTOR, useFactory: (cache) => new CacheResponseInterceptor(cache), inject: [TIERCACHE] },
      ],
      exports: [TIERCACHE],
    };
  }
}

function cacheOf(options: TiercacheModuleOptions): Cache {
  return "cache" in options ? options.cache : createCache(options);
}

/** After `onModuleDestroy` of every module: until then they may use the cache. */
function closerOf(cache: Cache, options: TiercacheModuleOptions): { onApplicationShutdown(): Promise<void> } {
  return { onApplicationShutdown: async () => ("cache" in options ? undefined : cache.close()) };
}

/**
 * Caches what a handler of a controller returns to GET, by its address, the headers it varies on, and whose it is. A request with
 * credentials (`Authorization`, `Cookie`, or a user that a guard has set) is not cached without a `scope`.
 *
 * What is stored is the value, before Nest.js writes it: headers that the handler sets itself come with the first answer only. Files,
 * streams, instances of classes, answers that set a cookie, those that are no success or have a status that the handler has set, and
 * those that it writes itself (`@Res()`; it returns nothing then) are not stored.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function CacheResponse(options: CacheResponseOptions = {}): MethodDecorator {
  knownOptions(options, [...POLICY_FIELDS, "tags", "vary", "scope"], "CacheResponse");
  const { vary = [], scope } = options;
  const isList = Array.isArray(vary) && vary.every((name) => typeof name === "string" && name !== "");
  if (!isList) throw optionError("vary", "a list of header names", vary);
  if (scope !== undefined && typeof scope !== "function") throw optionError("scope", "a function", scope);
  return (_target, _name, descriptor) => {
    // On the function itself, which is what an interceptor is given.
    Object.defineProperty(descriptor.value as object, OPTIONS, { value: options });
  };
}

interface Answer {
  readonly value: unknown;
  /** The first caller's alone. */
  readonly own: boolean;
}

/** Express' or Fastify's. */
interface NestResponse {
  readonly statusCode: number;
  readonly headersSent?: boolean | undefined;
  readonly sent?: boolean | undefined;
  getHeader?: ((name: string) => unknown) | undefined;
}

/** Runs the handlers that `@CacheResponse` marks through the cache; `TiercacheModule` makes it the application's. */
export class CacheResponseInterceptor implements NestInterceptor {
  readonly #cache: Cache;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  async intercept(context: ExecutionContext, next: CallHandler): Promise<ReturnType<CallHandler["handle"]>> {
    const handler = context.getHandler() as unknown as { readonly [OPTIONS]?: CacheResponseOptions };
    const options = handler[OPTIONS];
    if (options === undefined || context.getType() !== "http") return next.handle();
    const request = context.switchToHttp().getRequest<NestRequest>();
    const isPersonal = hasCredentials(request);
    if (request.method !== "GET" || (isPersonal && options.scope === undefined)) return next.handle();
    const scope = await options.scope?.(request);
    const response = context.switchToHttp().getResponse<NestResponse>();
    const answer = await this.#answer(request, response, scope, options, next);
    // Nest.js merges what comes back as rxjs merges it, and a list is its items one after the other.
    return answer === undefined ? next.handle() : ([answer.value] as never);
  }

  /** `undefined` when the answer is another caller's alone. */
  async #answer(
    request: NestRequest,
    response: NestResponse,
    scope: ScopeInput | undefined,
    options: CacheResponseOptions,
    next: CallHandler,
  ): Promise<Answer | undefined> {
    const { tags, vary = [], scope: _scope, ...policy } = options;
    let mine = false;
    const load = async (context: LoaderContext): Promise<Answer> => {
      mine = true;
      // Nest.js has set it for every answer of this handler, before it asks the interceptor.
      const status = response.statusCode;
      const value = await lastOf(next);
      if (response.statusCode !== status || !isShareable(value, response)) {
        context.skip();
        return { value, own: true };
      }
      context.tags(...(typeof tags === "function" ? tags(value, request) : (tags ?? [])));
      return { value, own: false };
    };
    const key = [
      "nest",
      ...scopeSegments(scope),
      request.method,
      textOf(request.headers["host"]),
      request.originalUrl ?? request.url,
      Object.fromEntries(vary.map((name) => [name.toLowerCase(), textOf(request.headers[name.toLowerCase()])])),
    ];
    const answer = await this.#cache.getOrLoad(key, load, policy);
    return answer.own && !mine ? undefined : answer;
  }
}

function hasCredentials({ headers, user }: NestRequest): boolean {
  return headers["authorization"] !== undefined || headers["cookie"] !== undefined || (user ?? undefined) !== undefined;
}

function textOf(header: string | readonly string[] | undefined): string {
  return typeof header === "string" ? header : (header ?? []).join(", ");
}

/** Whether what was returned may be given to another. What can be read once, or is no plain data, is not for two. */
function isShareable(value: unknown, response: NestResponse): boolean {
  // What the handler has written, or is about to, nobody would write for the next one who asks.
  if (value === undefined || response.headersSent === true || response.sent === true) return false;
  if (response.statusCode >= 300 || (response.getHeader?.("set-cookie") ?? undefined) !== undefined) return false;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return typeof value !== "function";
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || value instanceof Date;
}

/** The last value that the handler gives, as rxjs' `lastValueFrom`; `undefined` when it gives none. */
function lastOf(next: CallHandler): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let last: unknown;
    next.handle().subscribe({
      next: (value: unknown) => {
        last = value;
      },
      error: reject,
      complete: () => resolve(last),
    });
  });
}
