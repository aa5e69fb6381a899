import type { Duplex } from "node:stream";

import { deferred, type Deferred } from "../http/deferred.js";
import type { OriginAnswer } from "../http/exchange.js";
import type { Fields } from "../http/fields.js";
import { OriginError, originError, RefusedUpload } from "./failure.js";
import type { Pool, PoolController, PoolHandler, PoolRequest } from "./undici.js";

/** Bytes of a body that wait to be read before the origin has to. */
const READ_AHEAD = 65_536;

/** What is heard of an answer besides itself. */
export interface Hearing {
  readonly signal: AbortSignal | undefined;
  /** A 1xx answer that came before. */
  readonly informed?: ((status: number, fields: Fields) => void) | undefined;
  /** The answer has come to its end, or will not: called once. */
  readonly ended?: ((error: Error | undefined) => void) | undefined;
}

/**
 * Asks one server once: the bytes of the body are as they were sent.
 *
 * @throws OriginError when there is no answer; what fails later fails the body. The signal's reason when that was it.
 */
export function ask(pool: Pool, request: PoolRequest, hearing: Hearing): Promise<OriginAnswer> {
  const reply = new Reply(hearing);
  try {
    pool.dispatch(request, reply);
  } catch (error) {
    reply.onResponseError(undefined, error as Error);
  }
  return reply.answer;
}

/** The other side of a connection that is not HTTP any more. */
export interface Upgraded {
  readonly fields: Fields;
  readonly socket: Duplex;
}

/** Asks for another protocol. @returns what the connection has become, or the answer of a server that refuses. */
export function askUpgrade(pool: Pool, request: PoolRequest, hearing: Hearing): Promise<Upgraded | OriginAnswer> {
  const upgraded = deferred<Upgraded | OriginAnswer>();
  const reply = new UpgradeReply(hearing, upgraded);
  reply.answer.then(upgraded.resolve, upgraded.reject);
  try {
    pool.dispatch(request, reply);
  } catch (error) {
    reply.onResponseError(undefined, error as Error);
  }
  return upgraded.promise;
}

class Reply implements PoolHandler {
  readonly #hearing: Hearing;
  readonly #answer: Deferred<OriginAnswer> = deferred();
  #controller: PoolController | undefined;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isOver = false;

  constructor(hearing: Hearing) {
    this.#hearing = hearing;
    hearing.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get answer(): Promise<OriginAnswer> {
    return this.#answer.promise;
  }

  onRequestStart(controller: PoolController): void {
    this.#controller = controller;
    if (this.#hearing.signal?.aborted === true) this.#abort();
  }

  onResponseStart(controller: PoolController, status: number, _headers: unknown, statusText = ""): void {
    const fields = fieldsOf(controller.rawHeaders ?? []);
    if (status < 200) return this.#hearing.informed?.(status, fields);
    const body = new ReadableStream<Uint8Array>(
      {
        start: (stream) => {
          this.#body = stream;
        },
        pull: () => controller.resume(),
        cancel: (reason) => controller.abort(reason instanceof Error ? reason : new Error("Nobody reads the body")),
      },
      { highWaterMark: READ_AHEAD, size: (chunk) => chunk.byteLength },
    );
    this.#answer.resolve({ status, statusText, fields, body: status === 204 || status === 304 ? null : body });
  }

  onResponseData(controller: PoolController, chunk: Uint8Array): void {
    const body = this.#body;
    if (body === undefined || this.#isOver) return;
    body.enqueue(chunk);
    if ((body.desiredSize ?? 0) <= 0) controller.pause();
  }

  onResponseEnd(): void {
    if (!this.#isOver) this.#body?.close();
    this.#end(undefined);
  }

  onResponseError(_controller: PoolController | undefined, error: Error): void {
    const { signal } = this.#hearing;
    const own = error instanceof RefusedUpload ? error : originError(error);
    const why: unknown = signal?.aborted === true ? signal.reason : own;
    if (!this.#isOver) this.#body?.error(why);
    this.#answer.reject(why);
    this.#end(why instanceof Error ? why : error);
  }

  protected end(error: Error | undefined): void {
    this.#end(error);
  }

  #end(error: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hearing.signal?.removeEventListener("abort", this.#abort);
    this.#hearing.ended?.(error);
  }

  readonly #abort = (): void => {
    const { reason } = this.#hearing.signal as AbortSignal;
    // One that still waits for a connection has no controller: it hears when it starts. Nobody waits for it until then.
    this.#answer.reject(reason);
    this.#controller?.abort(reason instanceof Error ? reason : new Error("The request was ended"));
  };
}

class UpgradeReply extends Reply {
  readonly #upgraded: Deferred<Upgraded | OriginAnswer>;

  constructor(hearing: Hearing, upgraded: Deferred<Upgraded | OriginAnswer>) {
    super(hearing);
    this.#upgraded = upgraded;
  }

  onRequestUpgrade(controller: PoolController, status: number, _headers: unknown, socket: Duplex): void {
    const fields = fieldsOf(controller.rawHeaders ?? []);
    if (status !== 101) {
      socket.destroy();
      this.#upgraded.reject(new OriginError("http_protocol_error", false, undefined));
    } else this.#upgraded.resolve({ fields, socket });
    this.end(undefined);
  }
}

/** Names and values in turn. The parser has let nothing through that a field must not hold (RFC 9110 §5.5). */
function fieldsOf(raw: readonly (Uint8Array | string)[]): Fields {
  const fields: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    fields.push([textOf(raw[index] ?? "").toLowerCase(), textOf(raw[index + 1] ?? "")]);
  }
  return fields;
}

function textOf(raw: Uint8Array | string): string {
  return typeof raw === "string" ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("latin1");
}
