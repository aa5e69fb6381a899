import { createConnection, type Socket } from "node:net";
import type { Clock, Timer } from "../clock.js";
import { CacheError } from "../errors.js";
import { ReplyParser, type Reply } from "./protocol.js";

/** A reply, and on which connection it came: a CAS value says nothing on another, which may lead to a restarted server. */
export interface Answer extends Reply {
  readonly epoch: number;
}

interface Pending {
  /** Lines of a `stats`, whose reply has many; `undefined` for all else. */
  readonly lines: string[] | undefined;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: CacheError) => void;
}

/** Unanswered for so long, the server or the way to it is taken for dead; milliseconds. Callers give up sooner. */
const STALLED = 5_000;
/** Waits between tries to connect: doubled from the first to the last; milliseconds. */
const FIRST_BACKOFF = 50;
const LAST_BACKOFF = 2_000;
/** Commands, and bytes of them, that may wait for a server that does not answer. */
const MAX_PENDING = 50_000;
const MAX_UNSENT = 64 << 20;
const MAX_STAT_LINES = 1_000;

/**
 * One connection to one memcached: commands are answered in the order in which they were sent, those of one tick
 * travel together. It connects when it is first used, and again after it was lost: not sooner than a growing wait after
 * the last failure, and never by itself. What was unanswered when it was lost rejects; nothing is sent twice.
 */
export class MemcachedConnection {
  readonly #host: string;
  readonly #port: number;
  readonly #clock: Clock;
  #socket: Socket | undefined;
  #pending: Pending[] = [];
  /** Where in `#pending` the oldest stands: shifting an array of thousands is slow. */
  #first = 0;
  #unsent: (string | Uint8Array)[] = [];
  #unsentBytes = 0;
  #epoch = 0;
  #backoff = 0;
  #retryAt = Number.NEGATIVE_INFINITY;
  #heardAt = 0;
  #watch: Timer | undefined;
  #base: { readonly epoch: number; readonly value: Promise<number> } | undefined;
  #closed = false;

  constructor(host: string, port: number, clock: Clock) {
    this.#host = host;
    this.#port = port;
    this.#clock = clock;
  }

  /** Counts connections. */
  get epoch(): number {
    return this.#epoch;
  }

  /**
   * Sends one command.
   *
   * @param line without its end; everything in it must be free of whitespace that is not ours.
   * @param payload sent as it is: the caller leaves it alone until the answer.
   * @param epoch if given, the command is sent on that connection or not at all.
   * @throws CacheError `ERR_CACHE_TIER` when it was not answered, or by an error; `ERR_CACHE_CLOSED`.
   */
  send(line: string, payload?: Uint8Array, epoch?: number): Promise<Answer> {
    return this.#send(line, payload, epoch, undefined);
  }

  /**
   * A time of the server's in microseconds that is the same as long as it runs, and later for each that is started
   * after it: when it was started.
   */
  started(): Promise<number> {
    const known = this.#base;
    if (known !== undefined && known.epoch === this.#epoch && this.#socket !== undefined) return known.value;
    const lines: string[] = [];
    const value = this.#send("stats", undefined, undefined, lines).then(() => startOf(lines));
    // A failure is its caller's; whoever asks next asks the server again.
    const base = { epoch: this.#epoch, value };
    value.catch(() => {
      if (this.#base === base) this.#base = undefined;
    });
    this.#base = base;
    return value;
  }

  close(): void {
    this.#closed = true;
    this.#lost(new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed"), this.#socket);
  }

  #send(
    line: string,
    payload: Uint8Array | undefined,
    epoch: number | undefined,
    lines: string[] | undefined,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const socket = this.#open();
      if (epoch !== undefined && epoch !== this.#epoch) throw down("the connection was lost in between");
      if (this.#pending.length - this.#first >= MAX_PENDING || this.#unsentBytes + socket.writableLength > MAX_UNSENT) {
        throw down("too much waits for an answer");
      }
      this.#pending.push({ lines, resolve, reject });
      this.#queue(`${line}\r\n`, payload);
      this.#expect();
    });
  }

  #queue(text: string, payload: Uint8Array | undefined): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#flush());
    const last = this.#unsent.length - 1;
    // Neighbouring texts become one: a batch of reads is one write.
    if (typeof this.#unsent[last] === "string") this.#unsent[last] += text;
    else this.#unsent.push(text);
    this.#unsentBytes += text.length;
    if (payload === undefined) return;
    this.#unsent.push(payload, "\r\n");
    this.#unsentBytes += payload.length;
  }

  #flush(): void {
    const socket = this.#socket;
    const unsent = this.#unsent;
    this.#unsent = [];
    this.#unsentBytes = 0;
    if (socket === undefined) return;
    socket.cork();
    for (const part of unsent) socket.write(part);
    socket.uncork();
  }

  /** @throws CacheError when it is too early to try again. */
  #open(): Socket {
    if (this.#closed) throw new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
    if (this.#socket !== undefined) return this.#socket;
    if (this.#clock.now() < this.#retryAt) throw down("it could not be reached");
    const socket = createConnection({ host: this.#host, port: this.#port, noDelay: true, keepAlive: true });
    this.#socket = socket;
    this.#epoch += 1;
    this.#heardAt = this.#clock.now();
    const parser = new ReplyParser((reply) => this.#answered(reply));
    socket.on("data", (chunk: Buffer) => {
      if (this.#socket !== socket) return;
      this.#heardAt = this.#clock.now();
      this.#backoff = 0;
      try {
        parser.push(chunk);
      } catch (error) {
        this.#lost(error instanceof CacheError ? error : down("its reply could not be read", error), socket);
      }
    });
    socket.on("error", (error) => this.#lost(down(error.message, error), socket));
    socket.on("close", () => this.#lost(down("it closed the connection"), socket));
    return socket;
  }

  #answered(reply: Reply): void {
    const pending = this.#pending[this.#first];
    if (pending === undefined) throw down("it answered what was not asked");
    if (pending.lines !== undefined && reply.code === "STAT") {
      if (pending.lines.push(reply.flags.join(" ")) > MAX_STAT_LINES) throw down("its statistics have no end");
      return;
    }
    this.#first += 1;
    if (this.#first === this.#pending.length || this.#first > 1_000) {
      this.#pending.splice(0, this.#first);
      this.#first = 0;
    }
    if (!isError(reply.code)) {
      pending.resolve({ code: reply.code, flags: reply.flags, value: reply.value, epoch: this.#epoch });
      return;
    }
    const error = down(`${reply.code} ${reply.flags.join(" ")}`);
    pending.reject(error);
    // A command it did not understand may be answered twice, or its payload be taken for commands.
    if (reply.code !== "SERVER_ERROR") throw error;
  }

  #lost(error: CacheError, socket: Socket | undefined): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    socket?.destroy();
    this.#watch?.cancel();
    this.#watch = undefined;
    this.#backoff = Math.min(LAST_BACKOFF, Math.max(FIRST_BACKOFF, this.#backoff * 2));
    this.#retryAt = this.#clock.now() + this.#backoff;
    const pending = this.#pending.slice(this.#first);
    this.#pending = [];
    this.#first = 0;
    this.#unsent = [];
    this.#unsentBytes = 0;
    for (const { reject } of pending) reject(error);
  }

  /** Watches that answers come, as long as there are any to come. */
  #expect(): void {
    // Nothing was expected before, so nothing was missed.
    if (this.#pending.length - this.#first <= 1) this.#heardAt = this.#clock.now();
    if (this.#watch !== undefined) return;
    const socket = this.#socket;
    const left = this.#heardAt + STALLED - this.#clock.now();
    this.#watch = this.#clock.after(Math.max(1, left), () => {
      this.#watch = undefined;
      if (this.#socket !== socket || this.#pending.length === this.#first) return;
      if (this.#clock.now() - this.#heardAt >= STALLED) this.#lost(down("it did not answer for long"), socket);
      else this.#expect();
    });
  }
}

function isError(code: string): boolean {
  return code === "ERROR" || code === "CLIENT_ERROR" || code === "SERVER_ERROR";
}

function down(why: string, cause?: unknown): CacheError {
  return new CacheError("ERR_CACHE_TIER", `memcached did not do what was asked: ${why}`, { cause });
}

function startOf(lines: readonly string[]): number {
  const numberOf = (name: string): number => {
    const line = lines.find((text) => text.startsWith(`${name} `));
    return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
  };
  // Both are read from one clock that neither jumps nor goes back while the server runs.
  const start = (numberOf("time") - numberOf("uptime")) * 1_000_000;
  if (!Number.isSafeInteger(start) || start <= 0 || start > 2 ** 52) throw down("its statistics do not tell the time");
  return start;
}
