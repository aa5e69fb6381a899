import { IncomingMessage, ServerResponse, type OutgoingHttpHeader, type OutgoingHttpHeaders } from "node:http";

import { deferred } from "../deferred.js";
import type { OriginAnswer } from "../exchange.js";
import type { Fields } from "../fields.js";

/** A listener of node:http, an Express application among others; what it throws or rejects with is a failure of the request. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Bytes of a body that are held for a reader before the listener is told to wait. */
const HIGH_WATER = 65_536;

/**
 * A request as a listener is given it: the same client's, with other fields, and without the client's connection, so that it may be
 * answered when the client has long gone.
 *
 * @param body where its body is read from; without it, it has none.
 */
export function detachedRequest(
  incoming: IncomingMessage,
  target: string,
  fields: Fields,
  body: IncomingMessage | undefined,
): IncomingMessage {
  // Its own properties are a request's; what a listener asks its connection is answered by the client's.
  const request = new IncomingMessage(incoming.socket);
  request.method = incoming.method ?? "GET";
  request.url = target;
  request.httpVersion = incoming.httpVersion;
  request.httpVersionMajor = incoming.httpVersionMajor;
  request.httpVersionMinor = incoming.httpVersionMinor;
  for (const [name, value] of fields) {
    request.rawHeaders.push(name, value);
    addHeader(request.headers, name, value);
  }
  if (body === undefined) {
    request.complete = true;
    request.push(null);
    return request;
  }
  forward(body, request);
  return request;
}

/** Joined as node:http joins them. */
function addHeader(headers: IncomingMessage["headers"], name: string, value: string): void {
  const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (before === undefined) headers[name] = name === "set-cookie" ? [value] : value;
  else if (Array.isArray(before)) before.push(value);
  else if (!ONCE.has(name)) headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
}

/** Fields of which node:http takes the first line. */
const ONCE: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);

/** Gives one request's body to another at the pace it is read. */
function forward(from: IncomingMessage, to: IncomingMessage): void {
  to._read = () => from.resume();
  from.on("data", (chunk: Uint8Array) => {
    if (!to.push(chunk)) from.pause();
  });
  from.on("end", () => {
    to.complete = true;
    to.push(null);
  });
  from.on("close", () => {
    if (!to.complete) to.destroy(new Error("The client went away"));
  });
  from.pause();
}

/**
 * Runs a listener, and gives its answer: the head as soon as that is known, the body while the listener writes it, at the pace it is
 * read. When nobody reads it any more the response is closed, as it is for a client that has gone. Rejects with what the listener
 * throws before the head.
 */
export function runListener(
  listener: Listener,
  request: IncomingMessage,
  signal: AbortSignal | undefined,
): Promise<OriginAnswer> {
  const capture = new Capture(request);
  const abort = (): void => capture.fail(new Error("Nobody waits for the answer"));
  signal?.addEventListener("abort", abort, { once: true });
  const over = (): void => signal?.removeEventListener("abort", abort);
  capture.response.once("close", over);
  const fail = (error: unknown): void => capture.fail(error);
  try {
    const returned = listener(request, capture.response);
    if (isPromise(returned)) returned.then(undefined, fail);
  } catch (error) {
    fail(error);
  }
  return capture.answer;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

type Chunk = string | Uint8Array;
type Callback = (error?: Error | null) => void;

/**
 * A ServerResponse that has no connection: what is written to it is an answer.
 *
 * For implementers: its functions are its own properties, because frameworks give a response another prototype, and put
 * functions of theirs before those they find on it.
 */
class Capture {
  readonly response: ServerResponse;
  readonly #answer = deferred<OriginAnswer>();
  readonly #body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isDraining = false;
  #isHeadSent = false;
  #isOver = false;

  constructor(request: IncomingMessage) {
    const response = new ServerResponse(request);
    this.response = response;
    this.#body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pulled(),
        cancel: (reason) => {
          this.#isOver = true;
          response.destroy(reason instanceof Error ? reason : undefined);
        },
      },
      { highWaterMark: HIGH_WATER, size: (chunk) => chunk.length },
    );
    // Those who wait for it hear of it; a body that failed has said so to its reader.
    this.#answer.promise.catch(() => undefined);
    Object.assign(response, this.#functions());
  }

  get answer(): Promise<OriginAnswer> {
    return this.#answer.promise;
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#answer.reject(error);
    this.#controller?.error(error);
    this.#close(true);
  }

  #functions(): Partial<Record<keyof ServerResponse, unknown>> {
    const { response } = this;
    return {
      writeHead: (status: number, second?: unknown, third?: unknown) => this.#writeHead(status, second, third),
      flushHeaders: () => this.#sendHead(),
      write: (chunk: Chunk, second?: unknown, third?: unknown) => this.#write(chunk, second, third),
      end: (first?: unknown, second?: unknown, third?: unknown) => this.#end(first, second, third),
      destroy: (error?: Error) => {
        this.fail(error ?? new Error("The response was destroyed"));
        return response;
      },
      // Of an answer that is kept, these would be the first one's alone.
      addTrailers: () => undefined,
      writeContinue: () => undefined,
      writeProcessing: () => undefined,
      writeEarlyHints: (_hints: unknown, callback?: Callback) => callback?.(),
    };
  }

  #writeHead(status: number, second: unknown, third: unknown): ServerResponse {
    const { response } = this;
    const headers = typeof second === "string" ? third : (third ?? second);
    if (typeof second === "string") response.statusMessage = second;
    setHeaders(response, headers);
    // The prototype's checks the status, keeps a message that was set, and makes `headersSent` true.
    ServerResponse.prototype.writeHead.call(response, status);
    this.#isHeadSent = true;
    const body = isBodiless(response) ? null : this.#body;
    const fields = fieldsOf(response);
    this.#answer.resolve({ status: response.statusCode, statusText: response.statusMessage, fields, body });
    return response;
  }

  #sendHead(): void {
    // Through the property: whoever wants to change the head last has put a function before ours.
    if (!this.#isHeadSent) this.response.writeHead(this.response.statusCode);
  }

  #write(chunk: Chunk, second: unknown, third: unknown): boolean {
    const { response } = this;
    const callback = callbackOf(second, third);
    if (this.#isOver || response.writableEnded) {
      const error = Object.assign(new Error("write after end"), { code: "ERR_STREAM_WRITE_AFTER_END" });
      process.nextTick(() => callback?.(error));
      return false;
    }
    this.#sendHead();
    this.#enqueue(bytesOf(chunk, second));
    if (callback !== undefined) process.nextTick(callback);
    if ((this.#controller?.desiredSize ?? 0) > 0 || isBodiless(response)) return true;
    this.#isDraining = true;
    return false;
  }

  #end(first: unknown, second: unknown, third: unknown): ServerResponse {
    const { response } = this;
    const callback = typeof first === "function" ? (first as Callback) : callbackOf(second, third);
    if (this.#isOver || response.writableEnded) {
      if (callback !== undefined) process.nextTick(callback);
      return response;
    }
    const last = first === undefined || first === null || typeof first === "function" ? undefined : (first as Chunk);
    const bytes = last === undefined ? undefined : bytesOf(last, second);
    if (!this.#isHeadSent) {
      const isLengthOpen = !response.hasHeader("content-length") && !response.hasHeader("transfer-encoding");
      if (isLengthOpen && response.statusCode !== 204 && response.statusCode !== 304) {
        if (bytes !== undefined || response.req.method !== "HEAD")
          response.setHeader("content-length", bytes?.length ?? 0);
      }
      this.#sendHead();
    }
    if (bytes !== undefined) this.#enqueue(bytes);
    this.#isOver = true;
    this.#controller?.close();
    // What `writableEnded` and `writableFinished` go by.
    response.finished = true;
    process.nextTick(() => {
      response.emit("finish");
      callback?.();
      this.#close(false);
    });
    return response;
  }

  #enqueue(bytes: Uint8Array): void {
    if (bytes.length === 0 || isBodiless(this.response)) return;
    // Its own bytes: a listener may write the same buffer again.
    this.#controller?.enqueue(bytes);
  }

  #pulled(): void {
    if (!this.#isDraining) return;
    this.#isDraining = false;
    this.response.emit("drain");
  }

  #close(isCut: boolean): void {
    const { response } = this;
    if (isCut) response.destroyed = true;
    process.nextTick(() => response.emit("close"));
  }
}

function setHeaders(response: ServerResponse, headers: unknown): void {
  if (typeof headers !== "object" || headers === null) return;
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers as OutgoingHttpHeaders)) {
      if (value !== undefined) response.setHeader(name, value);
    }
    return;
  }
  const isPairs = Array.isArray(headers[0]);
  const pairs = isPairs ? (headers as [string, OutgoingHttpHeader][]) : paired(headers as OutgoingHttpHeader[]);
  for (const [name] of pairs) response.removeHeader(name);
  for (const [name, value] of pairs) response.appendHeader(name, value as string | string[]);
}

function paired(flat: readonly OutgoingHttpHeader[]): [string, OutgoingHttpHeader][] {
  const pairs: [string, OutgoingHttpHeader][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push([String(flat[index]), flat[index + 1] as OutgoingHttpHeader]);
  }
  return pairs;
}

function fieldsOf(response: ServerResponse): Fields {
  const fields: [string, string][] = [];
  for (const [name, value] of Object.entries(response.getHeaders())) {
    for (const line of Array.isArray(value) ? value : [value]) fields.push([name, String(line)]);
  }
  return fields;
}

function isBodiless({ req, statusCode }: ServerResponse): boolean {
  return req.method === "HEAD" || statusCode === 204 || statusCode === 304;
}

function bytesOf(chunk: Chunk, encoding: unknown): Uint8Array {
  if (typeof chunk === "string")
    return Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8");
  return Uint8Array.from(chunk);
}

function callbackOf(second: unknown, third: unknown): Callback | undefined {
  if (typeof second === "function") return second as Callback;
  return typeof third === "function" ? (third as Callback) : undefined;
}
