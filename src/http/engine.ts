import type { Cache } from "../api.js";
import { CacheError } from "../errors.js";
import type { Mark } from "../invalidation/record.js";
import { answerFrom, gatewayTimeout, notModified } from "./answers.js";
import { cacheGroups } from "./cache-groups.js";
import { requestDirectives, type Directives } from "./cache-control.js";
import { withCacheStatus, type Forward, type Handling } from "./cache-status.js";
import { decodedBody, decodedFields, isToDecode } from "./encoding.js";
import type { Answer, Exchange } from "./exchange.js";
import { hasField, withField, type Fields } from "./fields.js";
import { currentAge, freshnessLifetime, type Timed } from "./freshness.js";
import { endToEnd } from "./hop-by-hop.js";
import { HitForMiss } from "./hit-for-miss.js";
import { invalidatedUrls, isUnsafe } from "./invalidation.js";
import { Load, unlessAborted, whyNotKept, type Arrival } from "./load.js";
import type { ResolvedHttpOptions } from "./options.js";
import { hasWhatIsAsked } from "./partial.js";
import { isForOrigin, isNotModified } from "./preconditions.js";
import { ReadyHits, type PlainExchange, type ReadyHit } from "./ready-hit.js";
import { queryDigest } from "./query.js";
import { ResponseStore, type Place } from "./response-store.js";
import { reuseOf, servesOnError, type Reuse } from "./reuse.js";
import { storedFields, whyUnstorable } from "./storable.js";
import type { StoredResponse } from "./stored-response.js";
import { varyKey } from "./vary.js";
import { confirms, headConfirms, updatedFields, validatingFields, withDate } from "./validation.js";

type Answered = Extract<Arrival, { kind: "answer" }>;

/** Statuses that say that the origin failed (RFC 5861 §4). */
const FAILED: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/**
 * The one engine behind all faces: requests in, answers out, by RFC 9111.
 *
 * For implementers. A GET is answered from the store, or by a `Load`, which one request begins and others that could be answered by
 * what it stores join. What turns out not to be shareable is the first one's alone: the others then ask the origin each for itself,
 * all at once, and the place is remembered (`HitForMiss`), so that the next ones do not wait to begin with.
 */
export class HttpEngine {
  readonly #cache: Cache;
  readonly #options: ResolvedHttpOptions;
  readonly #store: ResponseStore;
  readonly #loads = new Map<string, Load>();
  /** Hears nothing more of invalidations; while there are loads. */
  #deafen: (() => void) | undefined;
  readonly #uncacheable: HitForMiss;
  readonly #ready: ReadyHits;

  constructor(cache: Cache, options: ResolvedHttpOptions) {
    this.#cache = cache;
    this.#options = options;
    this.#store = new ResponseStore(cache, options);
    this.#uncacheable = new HitForMiss(options.clock);
    this.#ready = new ReadyHits(this.#store, options);
  }

  /** The answer, if memory holds it fresh and whole for a plain GET; else `undefined`, and `handle` has the answer. */
  hitNow(exchange: PlainExchange): ReadyHit | undefined {
    return this.#ready.find(exchange);
  }

  /** Answers a request. Rejects with what `send` rejects with, and with the signal's reason. */
  async handle(exchange: Exchange): Promise<Answer> {
    return this.#handle(exchange, true);
  }

  /** @param mayWait whether it has not yet waited for another's answer to be stored. */
  async #handle(exchange: Exchange, mayWait: boolean): Promise<Answer> {
    const { method, fields, mode } = exchange;
    const query = this.#queryOf(exchange);
    if (method !== "GET" && method !== "HEAD" && query === undefined) return this.#change(exchange);
    if (mode === "no-store") return this.#direct(exchange, { fwd: "bypass" });
    if (isForOrigin(fields)) return this.#direct(exchange, { fwd: "request" });
    const place = await this.#place(exchange, query);
    if (place === undefined) return this.#direct(exchange, { fwd: "bypass" });
    const asked = requestDirectives(fields);
    const directives = mode === "no-cache" || mode === "reload" ? { ...asked, noCache: "all" as const } : asked;
    const { response } = place;
    if (response === undefined || mode === "reload") return this.#miss(place, exchange, directives, mayWait);
    if (mode === "force-cache" || mode === "only-if-cached") return this.#hit(response, exchange, undefined);
    const reuse = this.#reuse(response, directives, place);
    if (reuse.verdict === "serve") return this.#hit(response, exchange, reuse.left);
    if (directives.onlyIfCached) return gatewayTimeout(this.#options);
    if (reuse.verdict === "serve-and-revalidate") {
      this.#revalidateBehind(place, exchange);
      return this.#hit(response, exchange, reuse.left);
    }
    return this.#validate(place, response, exchange, directives, reuse.asked, mayWait);
  }

  /** `undefined` where the cache has none: the URL is too long for a key, or the cache is closed. The request goes on without it. */
  async #place(exchange: Exchange, query: string | undefined): Promise<Place | undefined> {
    const { url, fields, signal } = exchange;
    try {
      return usable(await unlessAborted(this.#store.find(url, fields, query), signal), exchange);
    } catch (error) {
      if (error instanceof CacheError && signal?.aborted !== true) return undefined;
      throw error;
    }
  }

  /** The digest of a QUERY that is answered from the store; `undefined` for all else. */
  #queryOf({ method, fields, content }: Exchange): string | undefined {
    const isStored = method === "QUERY" && this.#options.query && content !== undefined;
    return isStored ? queryDigest(fields, content) : undefined;
  }

  #reuse(response: StoredResponse, directives: Directives, place: Place | undefined): Reuse {
    const now = this.#options.clock.wall();
    return reuseOf(response, directives, now, this.#options, place?.outdated === true);
  }

  #hit(response: StoredResponse, exchange: Exchange, left: number | undefined): Answer {
    const ttl = left ?? this.#left(response);
    return answerFrom(response, exchange, { hit: true, ttl }, this.#options);
  }

  #left(response: StoredResponse): number {
    const { clock } = this.#options;
    return (freshnessLifetime(response, this.#options) - currentAge(response, clock.wall())) / 1_000;
  }

  /** An unsafe request, or one that is not understood: never stored, and it may outdate what is. */
  async #change(exchange: Exchange): Promise<Answer> {
    const { method, url } = exchange;
    const answer = await this.#direct(exchange, { fwd: "method" });
    const groups = isUnsafe(method) ? cacheGroups(answer.fields, "cache-group-invalidation") : [];
    const urls = invalidatedUrls(method, url.href, answer.status, answer.fields);
    // Before the answer is given, so that whoever has it reads nothing older. What a tier did not acknowledge the cache
    // sends again, and the origin has done its work: that is no failure of the request.
    await this.#store.removeUrls(urls, groups).catch(() => undefined);
    return answer;
  }

  /** To the origin and back, as it is. */
  async #direct(exchange: Exchange, handling: Handling): Promise<Answer> {
    const { status, statusText, fields, body } = await exchange.send(exchange.fields, exchange.signal);
    const dated = withDate(endToEnd(fields), this.#options.clock.wall());
    const own = withCacheStatus(dated, this.#options.name, { ...handling, fwdStatus: status });
    return { status, statusText, fields: own, body };
  }

  /** Nothing stored may answer, or nothing is to. */
  async #miss(place: Place, exchange: Exchange, directives: Directives, mayWait: boolean): Promise<Answer> {
    const { mode, method, fields } = exchange;
    if (directives.onlyIfCached || mode === "only-if-cached") return gatewayTimeout(this.#options);
    const fwd = forwardFor(place, mode);
    // Not what would be stored: a head, or what the client asks not to have stored.
    if (method === "HEAD" || directives.noStore) return this.#direct(exchange, { fwd });
    if (hasField(fields, "range")) return this.#range(place, exchange, directives, fwd);
    const isAsked = directives.noCache !== undefined;
    if (!isAsked && this.#uncacheable.has(place.id)) return this.#directly(place, exchange, fwd);
    const running = isAsked ? undefined : this.#joinable(place);
    if (running !== undefined) return this.#join(running, place, exchange, directives, fwd, mayWait);
    // A reload asks for the whole response, whatever is stored.
    const unstored = mode === "reload" ? { ...place, response: undefined, part: undefined } : place;
    const isStoredForOthers = place.isVaryMiss && place.record === undefined;
    const isStored = isStoredForOthers || place.part !== undefined || this.#loads.has(rangeId(place));
    const load = this.#begin(unstored, exchange, { forced: isAsked || isStored, plain: !mayWait });
    return this.#lead(load, unstored, exchange, directives, fwd);
  }

  /** What is stored has to be confirmed first. */
  async #validate(
    place: Place,
    response: StoredResponse,
    exchange: Exchange,
    directives: Directives,
    isAsked: boolean,
    mayWait: boolean,
  ): Promise<Answer> {
    const fwd = isAsked ? "request" : "stale";
    if (directives.noStore) return this.#direct(exchange, { fwd });
    if (exchange.method === "HEAD") return this.#freshenByHead(place, response, exchange, directives, fwd);
    if (!isAsked && this.#uncacheable.has(place.id)) return this.#directly(place, exchange, fwd);
    const running = isAsked ? undefined : this.#joinable(place);
    if (running !== undefined) return this.#join(running, place, exchange, directives, fwd, mayWait);
    const load = this.#begin(place, exchange, { forced: isAsked || !place.outdated, plain: true });
    return this.#lead(load, place, exchange, directives, fwd);
  }

  /** A range of what is not stored: what comes is stored, as far as it goes. Only one at once, the others go by. */
  async #range(place: Place, exchange: Exchange, directives: Directives, fwd: Forward): Promise<Answer> {
    const id = rangeId(place);
    const isBusy = this.#loads.has(id) || this.#loads.has(place.id) || this.#uncacheable.has(place.id);
    if (isBusy || place.isVaryMiss || exchange.mode === "reload") return this.#direct(exchange, { fwd });
    const load = this.#begin(place, exchange, { forced: place.part !== undefined, plain: false }, id);
    return this.#lead(load, place, exchange, directives, fwd);
  }

  #begin(
    place: Place,
    exchange: Exchange,
    how: { readonly forced: boolean; readonly plain: boolean },
    id: string = place.id,
  ): Load {
    const load = new Load(this.#store, this.#options, place, exchange, how);
    this.#loads.set(id, load);
    this.#deafen ??= this.#listen();
    const end = (): void => {
      if (this.#loads.get(id) === load) this.#loads.delete(id);
      if (this.#loads.size > 0) return;
      this.#deafen?.();
      this.#deafen = undefined;
    };
    // It settles in either way without rejecting; readers who come between the body's end and its storing still join.
    void load.settled.then(end);
    return load;
  }

  /** Tells loads what was invalidated meanwhile, here or elsewhere. */
  #listen(): () => void {
    const tell = (marks: readonly Mark[]): void => {
      for (const load of this.#loads.values()) load.hear(marks);
    };
    const offs = [
      this.#cache.on("invalidated", ({ names }) => tell(names)),
      // What was invalidated while the log was lost nobody knows.
      this.#cache.on("log-gap", () => tell([{ kind: "all" }])),
    ];
    return () => {
      for (const off of offs) off();
    };
  }

  /** The load at a place, unless what it will bring is known to be outdated. */
  #joinable({ id }: Place): Load | undefined {
    const load = this.#loads.get(id);
    return load?.isOutdated() === true ? undefined : load;
  }

  /** The answer for the request that began a load. */
  async #lead(load: Load, place: Place, exchange: Exchange, directives: Directives, fwd: Forward): Promise<Answer> {
    const { response } = place;
    let arrival: Arrival;
    try {
      arrival = await load.wait(exchange.signal);
    } catch (error) {
      if (response === undefined || exchange.signal?.aborted === true) throw error;
      if (!this.#standsIn(response, directives, "disconnected")) throw error;
      return this.#stale(response, exchange, { fwd });
    }
    if (arrival.kind === "validated") {
      const handling = { fwd, fwdStatus: 304, stored: true, ttl: this.#left(arrival.response) };
      return answerFrom(arrival.response, exchange, handling, this.#options);
    }
    if (arrival.kind === "answer") return this.#arrived(arrival, response, exchange, directives, { fwd });
    return this.#found(arrival, place, exchange, directives, fwd);
  }

  /** The answer for a request that waited for another's load. */
  async #join(
    running: Load,
    place: Place,
    exchange: Exchange,
    directives: Directives,
    fwd: Forward,
    mayWait: boolean,
  ): Promise<Answer> {
    const { response } = place;
    const { heard } = running;
    let arrival: Arrival;
    try {
      arrival = await running.wait(exchange.signal);
    } catch (error) {
      if (exchange.signal?.aborted === true) throw error;
      if (response !== undefined && this.#standsIn(response, directives, "disconnected")) {
        return this.#stale(response, exchange, { fwd });
      }
      // What ended the other's request may have been its own: its client's patience, its header's length.
      return this.#directly(place, exchange, fwd);
    }
    // Its tags are known now, and one of them was invalidated before this request came.
    if (running.isOutdated(heard)) return this.#handle(exchange, mayWait);
    if (arrival.kind !== "answer") {
      if (this.#answers(arrival, exchange, directives)) return this.#found(arrival, place, exchange, directives, fwd);
      return this.#after(running, place, exchange, fwd, mayWait);
    }
    const { head, body, refusal } = arrival;
    // The client that asked has what the origin has; the next one asks for itself, and for all of it.
    if (head.status === 304) return this.#after(running, place, exchange, fwd, mayWait);
    if (FAILED.has(head.status) && response !== undefined && this.#standsIn(response, directives, "status")) {
      return this.#stale(response, exchange, { fwd, fwdStatus: head.status, collapsed: true });
    }
    if (refusal === undefined && body?.isJoinable !== false && this.#isShared(arrival, running, exchange, directives)) {
      return this.#arrived(arrival, response, exchange, directives, { fwd, collapsed: true });
    }
    // What is stored in a moment may be validated, or be another variant's: this one's load is begun then.
    const isStoredSoon = refusal === undefined && body?.isDone !== false;
    return this.#after(running, place, exchange, fwd, mayWait && isStoredSoon, refusal !== undefined);
  }

  /** Whether what another request is answered with answers this one. */
  #isShared({ head, vary }: Answered, running: Load, exchange: Exchange, directives: Directives): boolean {
    if (vary === undefined || varyKey(vary, running.request) !== varyKey(vary, exchange.fields)) return false;
    return this.#serves(head, directives);
  }

  /** When another's answer is no answer for this request: once more from the beginning, or by itself. */
  async #after(
    running: Load,
    place: Place,
    exchange: Exchange,
    fwd: Forward,
    mayWait: boolean,
    isRefused = false,
  ): Promise<Answer> {
    if (mayWait) {
      await unlessAborted(running.settled, exchange.signal);
      return this.#handle(exchange, false);
    }
    if (isRefused) this.#uncacheable.remember(place.id);
    return this.#directly(place, exchange, fwd);
  }

  #answers(arrival: Exclude<Arrival, Answered>, exchange: Exchange, directives: Directives): boolean {
    if (arrival.kind === "nothing") return false;
    const { response } = arrival;
    if (!hasWhatIsAsked(response, exchange.method, exchange.fields)) return false;
    const isMatch = varyKey(response.vary, exchange.fields) === response.varyKey;
    return isMatch && this.#serves(response, directives);
  }

  #serves(head: Timed, directives: Directives): boolean {
    const { clock } = this.#options;
    return reuseOf(head, directives, clock.wall(), this.#options, false).verdict === "serve";
  }

  /** What another process has stored, if it answers this request. */
  async #found(
    arrival: Exclude<Arrival, Answered>,
    place: Place,
    exchange: Exchange,
    directives: Directives,
    fwd: Forward,
  ): Promise<Answer> {
    if (arrival.kind === "nothing" || !this.#answers(arrival, exchange, directives)) {
      return this.#directly(place, exchange, fwd);
    }
    const handling = { fwd, collapsed: true, ttl: this.#left(arrival.response) };
    return answerFrom(arrival.response, exchange, handling, this.#options);
  }

  /** The origin's own answer, its body under way. */
  #arrived(
    { head, body, refusal }: Answered,
    response: StoredResponse | undefined,
    exchange: Exchange,
    directives: Directives,
    handling: Handling,
  ): Answer {
    const { status, statusText } = head;
    if (FAILED.has(status) && response !== undefined && this.#standsIn(response, directives, "status")) {
      body?.discard();
      return this.#stale(response, exchange, { ...handling, fwdStatus: status });
    }
    const said = { ...handling, fwdStatus: status, stored: refusal === undefined, detail: refusal };
    // To those who joined it goes as it would from the store: without what is the first one's own.
    const own = handling.collapsed === true ? this.#asStored(head) : head.fields;
    const isDecoded = isToDecode(own, exchange.fields, this.#options);
    const fields = withCacheStatus(isDecoded ? decodedFields(own) : own, this.#options.name, said);
    if (status === 200 && isNotModified(exchange.fields, head)) {
      body?.discardUnkept();
      return notModified(fields);
    }
    const opened = body?.open(exchange.signal) ?? null;
    return { status, statusText, fields, body: isDecoded && opened !== null ? decodedBody(opened, own) : opened };
  }

  #asStored(head: Timed): Fields {
    const age = Math.floor(currentAge(head, this.#options.clock.wall()) / 1_000);
    return withField(storedFields(head.fields, this.#options), "age", String(age));
  }

  /** Whether a stale response may be served, as the origin has failed. */
  #standsIn(response: StoredResponse, directives: Directives, failure: "disconnected" | "status"): boolean {
    return servesOnError(response, directives, this.#options.clock.wall(), this.#options, failure);
  }

  /** What stands in for an origin that failed: a hit if it was not even reached (RFC 9211 §2.1). */
  #stale(response: StoredResponse, exchange: Exchange, forwarded: Handling): Answer {
    const ttl = this.#left(response);
    const handling = forwarded.fwdStatus === undefined ? { hit: true, ttl } : { ...forwarded, ttl };
    return answerFrom(response, exchange, handling, this.#options);
  }

  /**
   * Straight to the origin, for this request alone: by the validators of what is stored, if anything is. An answer that may be
   * stored ends the waiting in vain.
   */
  async #directly(place: Place, exchange: Exchange, fwd: Forward): Promise<Answer> {
    const { clock } = this.#options;
    const stored = place.response;
    const asked = stored === undefined ? exchange.fields : validatingFields(exchange.fields, stored.fields);
    const requestTime = clock.wall();
    const { status, statusText, fields: received, body } = await exchange.send(asked, exchange.signal);
    const responseTime = clock.wall();
    const head = { status, fields: withDate(endToEnd(received), responseTime), requestTime, responseTime };
    if (status === 304 && stored !== undefined && confirms(head.fields, stored.fields)) {
      const fields = updatedFields(stored.fields, head.fields, this.#options);
      const handling = { fwd, fwdStatus: 304 };
      return answerFrom({ ...stored, fields, requestTime, responseTime }, exchange, handling, this.#options);
    }
    if (whyNotKept(exchange, head, this.#options) === undefined) this.#uncacheable.forget(place.id);
    const handling = { fwd, fwdStatus: status };
    return { status, statusText, fields: withCacheStatus(head.fields, this.#options.name, handling), body };
  }

  /** Stale-while-revalidate: one load for all who find it stale. */
  #revalidateBehind(place: Place, exchange: Exchange): void {
    if (exchange.method === "HEAD" || this.#loads.has(place.id)) return;
    const load = this.#begin(place, exchange, { forced: !place.outdated, plain: true });
    // What fails is tried again by the next request, which is served stale as well or hears of it.
    load.arrival.then(
      (arrival) => {
        if (arrival.kind === "answer") arrival.body?.discardUnkept();
      },
      () => undefined,
    );
  }

  /** A HEAD of a stale response goes to the origin as HEAD, and what it says is taken over (RFC 9111 §4.3.5). */
  async #freshenByHead(
    place: Place,
    response: StoredResponse,
    exchange: Exchange,
    directives: Directives,
    fwd: Forward,
  ): Promise<Answer> {
    const { clock } = this.#options;
    const requestTime = clock.wall();
    let answer: Answer;
    try {
      answer = await this.#direct(exchange, { fwd });
    } catch (error) {
      if (exchange.signal?.aborted === true || !this.#standsIn(response, directives, "disconnected")) throw error;
      return this.#stale(response, exchange, { fwd });
    }
    if (answer.status !== 200 || response.status !== 200) return answer;
    const fields = updatedFields(response.fields, answer.fields, this.#options).filter(
      ([name]) => name !== "cache-status",
    );
    const freshened = { ...response, fields, requestTime, responseTime: clock.wall() };
    const refusal = whyUnstorable({ method: "GET", fields: exchange.fields }, freshened, this.#options);
    const holds =
      headConfirms(answer.fields, response.fields) && (refusal === undefined || refusal === "authorization");
    // The origin has answered: what the cache can make of it is no failure of the request.
    if (!holds) await this.#store.remove(place).catch(() => undefined);
    // What it says to one who has identified himself is not everybody's (RFC 9111 §3.5).
    else if (refusal === undefined) {
      await this.#store.load(place, exchange.fields, true, async () => freshened).catch(() => undefined);
    }
    return answer;
  }
}

/** The place with an incomplete response out of the way of a request that it is no answer to. */
function usable(place: Place, { method, fields }: Exchange): Place {
  const { response } = place;
  if (response === undefined || hasWhatIsAsked(response, method, fields)) return place;
  return { ...place, response: undefined, part: response };
}

/** Names the load of a range, which nobody joins. */
function rangeId({ id }: Place): string {
  return `range ${id}`;
}

function forwardFor(place: Place, mode: Exchange["mode"]): Forward {
  if (mode === "reload") return "request";
  if (place.part !== undefined) return "partial";
  return place.isVaryMiss ? "vary-miss" : "uri-miss";
}
