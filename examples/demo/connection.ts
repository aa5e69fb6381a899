import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

const EMPTY = Buffer.alloc(0);
const END_OF_HEAD = Buffer.from("\r\n\r\n");
const TIMEOUT = 20_000;

/**
 * One HTTP/1.1 connection that is kept open, with one request under way at a time.
 *
 * `node:http` costs the client several times what it costs the server; a driver on the same machine would then mostly measure
 * itself. This one speaks the little that the example API answers: a `content-length` on every response (RFC 9112 section 6.3).
 */
export class Connection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer = EMPTY;
  /** Where the answer ends, once its head is here. */
  #end = -1;
  #bodyStart = 0;
  #status = 0;
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Connects if need be. @throws Error when the connection breaks before the whole answer is here */
  request(method: string, path: string, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting !== undefined) {
        reject(new Error("Expected one request at a time on a connection"));
        return;
      }
      this.#waiting = { resolve, reject };
      const head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n`;
      const rest =
        body === undefined
          ? "\r\n"
          : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
      this.#open().write(head + rest);
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#fail(new Error("The connection was closed"));
  }

  #open(): Socket {
    if (this.#socket !== undefined) {
      return this.#socket;
    }
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    socket.setTimeout(TIMEOUT, () => socket.destroy(new Error(`No answer within ${TIMEOUT / 1000} s`)));
    socket.on("data", (chunk) => this.#onData(socket, chunk));
    // `close` follows every error.
    let reason: Error | undefined;
    socket.on("error", (error) => (reason = error));
    socket.on("close", () => {
      if (this.#socket === socket) {
        this.#socket = undefined;
        this.#fail(reason ?? new Error("The server closed the connection"));
      }
    });
    return socket;
  }

  #onData(socket: Socket, chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (this.#end < 0 && !this.#readHead(socket)) {
      return;
    }
    if (this.#received.length < this.#end) {
      return;
    }
    const waiting = this.#waiting;
    if (waiting === undefined || this.#received.length > this.#end) {
      socket.destroy(new Error("The server sent more than was asked for"));
      return;
    }
    const answer = { status: this.#status, body: this.#received.subarray(this.#bodyStart, this.#end) };
    this.#reset();
    waiting.resolve(answer);
  }

  #readHead(socket: Socket): boolean {
    const headEnd = this.#received.indexOf(END_OF_HEAD);
    if (headEnd < 0) {
      return false;
    }
    const head = this.#received.toString("latin1", 0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    this.#status = Number(head.slice(9, 12));
    if (length === undefined || !(this.#status >= 200)) {
      socket.destroy(new Error(`Expected a final answer with its length, got ${JSON.stringify(head.slice(0, 80))}`));
      return false;
    }
    this.#bodyStart = headEnd + END_OF_HEAD.length;
    this.#end = this.#bodyStart + Number(length);
    return true;
  }

  #reset(): void {
    this.#received = EMPTY;
    this.#end = -1;
    this.#waiting = undefined;
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#reset();
    waiting?.reject(error);
  }
}
