import type { LoaderContext } from "../api.js";
import type { Mark } from "../invalidation/record.js";
import { deferred, type Deferred } from "./deferred.js";
import { acceptingStored } from "./encoding.js";
import type { Exchange } from "./exchange.js";
import { fieldLines, hasField, type Fields } from "./fields.js";
import { endToEnd } from "./hop-by-hop.js";
import type { Timed } from "./freshness.js";
import type { ResolvedHttpOptions } from "./options.js";
import {
  asPart,
  combined,
  completedBody,
  completedHead,
  completingFields,
  missingRange,
  strongTag,
} from "./partial.js";
import type { Place, ResponseStore } from "./response-store.js";
import { Spool } from "./spool.js";
import { storedFields, whyUnstorable, type StoringRequest, type Unstorable } from "./storable.js";
import type { Head, StoredResponse } from "./stored-response.js";
import { confirms, isValidating, updatedFields, validatingFields, withDate } from "./validation.js";
import { varyKey } from "./vary.js";

/** What a load has brought once the head of the answer is there. */
export type Arrival =
  /** The stored response holds: here it is, updated. */
  | { readonly kind: "validated"; readonly response: StoredResponse }
  /** Another process has stored it meanwhile. */
  | { readonly kind: "found"; readonly response: StoredResponse }
  /** Nothing that this process has loaded: it has to ask by itself. */
  | { readonly kind: "nothing" }
  | {
      readonly kind: "answer";
      readonly head: Head;
      /** Why it is for the request alone that asked. */
      readonly refusal: Unstorable | undefined;
      /** What other requests must say alike; `undefined` when none matches. */
      readonly vary: readonly string[] | undefined;
      readonly body: Spool | undefined;
    };

interface Sent {
  readonly head: Head;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** Marks that a load remembers; past them it counts as hit. */
const MOST_HEARD = 1_000;
const ALL: Mark = { kind: "all" };

/** A request to the origin whose answer is stored if it may be, and given to all who wait for it. */
export class Load {
  /** Who asked first: what others must match. */
  readonly request: Fields;
  /** Rejects with what `send` rejects with. */
  readonly arrival: Promise<Arrival>;
  /** Settles when what came is stored, or is not going to be. */
  readonly settled: Promise<void>;
  readonly #arrival: Deferred<Arrival> = deferred();
  readonly #abort = new AbortController();
  readonly #store: ResponseStore;
  readonly #options: ResolvedHttpOptions;
  readonly #place: Place;
  readonly #exchange: Exchange;
  #waiting = 0;
  readonly #plain: boolean;
  /** The path it stores under, once the origin is asked. */
  #path: string | undefined;
  /** What was invalidated since the origin was asked. */
  readonly #heard: Mark[] = [];
  /** Those of the answer, once it has come. */
  #fields: Fields = [];
  #spool: Spool | undefined;

  /**
   * @param forced whether it loads even if something is stored.
   * @param plain whether the request goes out without its client's conditions where nothing is stored.
   */
  constructor(
    store: ResponseStore,
    options: ResolvedHttpOptions,
    place: Place,
    exchange: Exchange,
    { forced, plain }: { readonly forced: boolean; readonly plain: boolean },
  ) {
    this.#store = store;
    this.#options = options;
    this.#place = place;
    this.#exchange = exchange;
    this.#plain = plain;
    this.request = exchange.fields;
    this.arrival = this.#arrival.promise;
    // Those who wait hear of it; of a load in the background nobody does.
    this.arrival.catch(() => undefined);
    this.settled = this.#run(forced);
  }

  /** The arrival, for one that may stop waiting. When nobody waits any more, the origin's work is ended. */
  async wait(signal: AbortSignal | undefined): Promise<Arrival> {
    this.#waiting += 1;
    try {
      return await unlessAborted(this.arrival, signal);
    } catch (error) {
      if (signal?.aborted === true) this.#left(signal.reason);
      throw error;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** How much it has heard of. */
  get heard(): number {
    return this.#heard.length;
  }

  /** Something was invalidated. */
  hear(marks: readonly Mark[]): void {
    // What the origin is asked for from now on is newer.
    if (this.#path === undefined || this.#heard.length > MOST_HEARD) return;
    const isTooMany = this.#heard.length + marks.length > MOST_HEARD;
    this.#heard.push(...(isTooMany ? [ALL] : marks));
  }

  /** Whether what it brings was invalidated by the first `heard` marks: who came after them is owed something newer. */
  isOutdated(heard: number = this.heard): boolean {
    if (heard === 0 || this.#path === undefined) return false;
    return this.#store.isHit(this.#heard.slice(0, heard), this.#path, this.#place, this.#fields);
  }

  /** One who waited has gone, and will not open the body. Those who still wait do so at once, if it is for them. */
  #left(reason: unknown): void {
    if (this.#waiting === 1) this.#abort.abort(reason);
    this.arrival.then(
      (arrival) => void setImmediate(() => (arrival.kind === "answer" ? arrival.body?.discardUnkept() : undefined)),
      () => undefined,
    );
  }

  async #run(forced: boolean): Promise<void> {
    const place = this.#place;
    try {
      const found = await this.#store.load(place, this.request, forced, (context) => this.#load(context));
      // Settled already where the origin was asked.
      this.#arrival.resolve(found === undefined ? { kind: "nothing" } : { kind: "found", response: found });
    } catch (error) {
      // The origin has taken too long.
      if (this.#path !== undefined) this.#arrival.reject(error);
      // The cache itself refused (its gate is full, it is closed): its events tell why, and requests go on without it.
      else this.#arrival.resolve({ kind: "nothing" });
    }
  }

  /** What is to be stored, if anything. Never rejects: what fails is for those who wait. */
  async #load({ key, signal: ended, release }: LoaderContext): Promise<StoredResponse | undefined> {
    this.#path = key;
    // With the head there it is no load on the origin to speak of, and a slow body would keep others from theirs.
    this.arrival.then(release, release);
    // With its body under way it has readers: those get the rest of it, and nobody waits for it to be stored.
    const abort = (): void => (this.#spool === undefined ? this.#abort.abort(ended.reason) : this.#spool.release());
    ended.addEventListener("abort", abort, { once: true });
    try {
      return await this.#ask();
    } catch (error) {
      this.#arrival.reject(error);
      return undefined;
    } finally {
      ended.removeEventListener("abort", abort);
    }
  }

  async #ask(): Promise<StoredResponse | undefined> {
    const { response: stored, part } = this.#place;
    const plain = validatingFields(this.request, []);
    if (stored !== undefined) return this.#validate(stored, plain);
    if (hasField(this.request, "range")) return this.#answered(await this.#send(this.request));
    if (part !== undefined) return this.#answered(await this.#complete(part, plain));
    const others = this.#store.otherTags(this.#place);
    if (others.length > 0) return this.#chooseVariant(others, plain);
    // A client's own conditions: what it has may be what the origin has, and no body need come at all.
    return this.#answered(await this.#send(this.#plain ? plain : this.request));
  }

  async #validate(stored: StoredResponse, plain: Fields): Promise<StoredResponse | undefined> {
    const others = stored.part === undefined ? this.#store.otherTags(this.#place) : [];
    const request = acceptingStored(this.request, stored.fields, this.#options);
    const asked = validatingFields(request, stored.fields, others);
    const sent = await this.#send(asked);
    if (sent.head.status !== 304 || !isValidating(asked)) return this.#answered(sent);
    await sent.body?.cancel();
    // One that names nothing is about the one that was asked about.
    const isNamed = others.length === 0 || strongTag(sent.head.fields) !== undefined;
    if (isNamed && confirms(sent.head.fields, stored.fields)) return this.#validated(stored, sent.head);
    return this.#chosen(sent.head, plain);
  }

  async #chooseVariant(others: readonly string[], plain: Fields): Promise<StoredResponse | undefined> {
    const sent = await this.#send(validatingFields(this.request, [], others));
    if (sent.head.status !== 304) return this.#answered(sent);
    await sent.body?.cancel();
    return this.#chosen(sent.head, plain);
  }

  /** A 304 selects the stored variant that has its tag (RFC 9111 §4.3.4). When none has: once more, and all of it. */
  async #chosen(head: Head, plain: Fields): Promise<StoredResponse | undefined> {
    const tag = strongTag(head.fields);
    const selected = tag && (await this.#store.withTag(this.#place, tag.opaque, this.request));
    return selected === undefined ? this.#answered(await this.#send(plain)) : this.#validated(selected, head);
  }

  /** The rest of an incomplete response, as the whole; or what comes instead where the origin has another by now. */
  async #complete(part: StoredResponse, plain: Fields): Promise<Sent> {
    const missing = missingRange(part);
    if (missing === undefined) return this.#send(plain);
    const sent = await this.#send([...plain, ...completingFields(part, missing)]);
    const { head, body } = sent;
    if (head.status !== 206 && head.status !== 416) return sent;
    const completed = head.status === 206 ? completedHead(part, missing, head, this.#options) : undefined;
    if (completed !== undefined && body !== null) return { head: completed, body: completedBody(part, missing, body) };
    await body?.cancel();
    return this.#send(plain);
  }

  #validated(stored: StoredResponse, head: Head): StoredResponse | undefined {
    const fields = updatedFields(stored.fields, head.fields, this.#options);
    const { requestTime, responseTime } = head;
    const vary = this.#store.varyOf(fields);
    const request = { method: "GET", fields: this.request };
    const response = {
      ...stored,
      fields,
      requestTime,
      responseTime,
      vary: vary ?? stored.vary,
      varyKey: varyKey(vary ?? stored.vary, this.request),
    };
    this.#fields = fields;
    this.#arrival.resolve({ kind: "validated", response });
    return whyUnstorable(request, response, this.#options) === undefined ? response : undefined;
  }

  async #answered({ head, body }: Sent): Promise<StoredResponse | undefined> {
    const request = { method: this.#exchange.method, fields: this.request };
    const refusal = whyNotKept(request, head, this.#options);
    const vary = this.#store.varyOf(head.fields);
    const spool = body === null ? undefined : new Spool(body, refusal === undefined ? this.#options.maxBodyBytes : 0);
    this.#spool = spool;
    this.#fields = head.fields;
    this.#arrival.resolve({ kind: "answer", head, refusal, vary, body: spool });
    if (refusal !== undefined || vary === undefined) {
      // The origin has something else now, that is not to be kept: what is stored is not its answer any more.
      if (this.#place.response !== undefined && head.status < 500) await this.#store.remove(this.#place);
      return undefined;
    }
    const bytes = spool === undefined ? new Uint8Array(0) : await spool.whole;
    if (bytes === undefined || !isComplete(head.fields, bytes, this.#options.decoded)) return undefined;
    const response: StoredResponse = {
      kind: "response",
      status: head.status,
      statusText: head.statusText,
      fields: storedFields(head.fields, this.#options),
      body: bytes,
      requestTime: head.requestTime,
      responseTime: head.responseTime,
      vary,
      varyKey: varyKey(vary, this.request),
    };
    if (head.status !== 206) return response;
    const part = asPart(response);
    return part && combined(this.#place.part, part, this.#options);
  }

  async #send(fields: Fields): Promise<Sent> {
    const { clock } = this.#options;
    const requestTime = clock.wall();
    const { status, statusText, fields: received, body } = await this.#exchange.send(fields, this.#abort.signal);
    const responseTime = clock.wall();
    const dated = withDate(endToEnd(received), responseTime);
    return { head: { status, statusText, fields: dated, requestTime, responseTime }, body };
  }
}

/** Why a response is not stored; one that says that it is too long is not even begun to be, and nobody joins it. */
export function whyNotKept(request: StoringRequest, head: Timed, options: ResolvedHttpOptions): Unstorable | undefined {
  const length = Number(fieldLines(head.fields, "content-length")[0] ?? 0);
  return whyUnstorable(request, head, options) ?? (length > options.maxBodyBytes ? "too-large" : undefined);
}

/** Whether the bytes are as many as the response says; a body that the client has decoded cannot be compared. */
function isComplete(fields: Fields, bytes: Uint8Array, decoded: boolean): boolean {
  if (decoded && hasField(fields, "content-encoding")) return true;
  const lengths = new Set(fieldLines(fields, "content-length").map((line) => line.trim()));
  if (lengths.size === 0) return true;
  const [length] = lengths;
  return lengths.size === 1 && length === String(bytes.length);
}

/** The promise's outcome, or the signal's reason if that comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    const stop = (): void => signal.removeEventListener("abort", abort);
    promise.then(resolve, reject).then(stop, stop);
  });
}
