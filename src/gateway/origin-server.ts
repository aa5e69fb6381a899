import type { Clock, Timer } from "../clock.js";
import type { OriginAnswer } from "../http/exchange.js";
import type { Fields } from "../http/fields.js";
import { ask, askUpgrade, type Hearing, type Upgraded } from "./ask.js";
import { RefusedUpload } from "./failure.js";
import { Health } from "./health.js";
import type { ResolvedOrigin } from "./resolve-config.js";
import type { MakePool, Pool, PoolRequest } from "./undici.js";

/** A request for any server of an origin. */
export interface OriginRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Without Host. */
  readonly fields: Fields;
  /** The Host that the client asked for. */
  readonly host: string;
  readonly body: NodeJS.ReadableStream | null;
  /** The length of the body, when it is said. */
  readonly length: string | undefined;
  /** The body's end may be seen elsewhere by a server that expects none: nothing may follow it on its connection. */
  readonly isLast: boolean;
}

export interface ServerStats {
  readonly url: string;
  readonly isWell: boolean;
  readonly failures: number;
  readonly pending: number;
  readonly requests: number;
}

/** Bytes of an answer's head. */
const HEAD_BYTES = 65_536;
/** Below what servers keep an idle connection for, so that none is closed while a request is on its way. */
const KEEP_ALIVE = 4_000;

/** One server of an origin: its connections, how much it has to do, and whether it is well. */
export class OriginServer {
  readonly url: URL;
  readonly #origin: ResolvedOrigin;
  readonly #clock: Clock;
  readonly #pool: Pool;
  readonly #health: Health;
  #pending = 0;
  #requests = 0;
  #probe: Timer | undefined;
  #isClosed = false;

  /** @param ca certificates (PEM) that are trusted. */
  constructor(url: URL, origin: ResolvedOrigin, ca: readonly string[] | undefined, makePool: MakePool, clock: Clock) {
    this.url = url;
    this.#origin = origin;
    this.#clock = clock;
    this.#health = new Health(origin.health, clock);
    this.#pool = makePool(url.origin, {
      connections: origin.connections,
      headersTimeout: origin.headersTimeout,
      bodyTimeout: origin.bodyTimeout,
      keepAliveTimeout: KEEP_ALIVE,
      maxHeaderSize: HEAD_BYTES,
      connect: { timeout: origin.connectTimeout, ...(ca === undefined ? {} : { ca }) },
    });
    if (origin.health.path !== undefined) this.#scheduleProbe(origin.health.path);
  }

  get isWell(): boolean {
    return this.#health.isWell;
  }

  /** Requests under way, their bodies included. */
  get pending(): number {
    return this.#pending;
  }

  get stats(): ServerStats {
    const { isWell, failures } = this.#health;
    return { url: this.url.origin, isWell, failures, pending: this.#pending, requests: this.#requests };
  }

  /** @throws OriginError when there is no answer. */
  async ask(request: OriginRequest, hearing: Hearing): Promise<OriginAnswer> {
    return this.#counted(hearing, (counting) => ask(this.#pool, this.#poolRequest(request), counting));
  }

  async askUpgrade(request: OriginRequest, upgrade: string, hearing: Hearing): Promise<Upgraded | OriginAnswer> {
    return this.#counted(hearing, (counting) =>
      askUpgrade(this.#pool, { ...this.#poolRequest(request), upgrade }, counting),
    );
  }

  /** Ends when what is under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#probe?.cancel();
    await this.#pool.close();
  }

  async destroy(): Promise<void> {
    this.#isClosed = true;
    this.#probe?.cancel();
    await this.#pool.destroy(null);
  }

  async #counted<T extends OriginAnswer | Upgraded>(
    hearing: Hearing,
    asked: (hearing: Hearing) => Promise<T>,
  ): Promise<T> {
    this.#pending += 1;
    this.#requests += 1;
    const ended = (error: Error | undefined): void => {
      this.#pending -= 1;
      hearing.ended?.(error);
    };
    try {
      const answer = await asked({ ...hearing, ended });
      const isFailure = "status" in answer && this.#origin.retries.statuses.includes(answer.status);
      if (isFailure) this.#health.failed();
      else this.#health.succeeded();
      return answer;
    } catch (error) {
      // What the client has done says nothing of the server.
      if (hearing.signal?.aborted !== true && !(error instanceof RefusedUpload)) this.#health.failed();
      throw error;
    }
  }

  #poolRequest({ method, path, fields, host, body, length, isLast }: OriginRequest): PoolRequest {
    const headers: string[] = ["host", this.#origin.host === "own" ? this.url.host : host];
    for (const [name, value] of fields) headers.push(name, value);
    if (length !== undefined) headers.push("content-length", length);
    return {
      method,
      path,
      headers,
      body,
      servername: this.url.hostname.replace(/^\[|\]$/g, ""),
      ...(isLast ? { reset: true } : {}),
    };
  }

  #scheduleProbe(path: string): void {
    this.#probe = this.#clock.after(this.#origin.health.interval, () => {
      // It does not reject: what fails is what it is for.
      void this.#ask(path).then(() => {
        if (!this.#isClosed) this.#scheduleProbe(path);
      });
    });
  }

  async #ask(path: string): Promise<void> {
    const ending = new AbortController();
    const { timeout } = this.#origin.health;
    const timer = this.#clock.after(timeout, () => ending.abort(new Error("The server's health took too long")));
    const request = {
      method: "GET",
      path,
      headers: ["host", this.url.host],
      body: null,
      servername: this.url.hostname.replace(/^\[|\]$/g, ""),
    };
    try {
      const { status, body } = await ask(this.#pool, request, { signal: ending.signal });
      await body?.cancel();
      if (status >= 200 && status < 400) this.#health.succeeded();
      else this.#health.failed();
    } catch {
      this.#health.failed();
    } finally {
      timer.cancel();
    }
  }
}
