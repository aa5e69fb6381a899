import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "../clock.js";

const HEARTBEAT = 15_000;
export const MOST_CLIENTS = 32;
/** Messages kept for those who come back, and their bytes together. */
const KEPT = 120;
const KEPT_BYTES = 4 * 1_024 * 1_024;
/** What may wait in one client's stream: who reads slower misses messages and comes back for them. */
const MOST_WAITING = 1_024 * 1_024;

interface Message {
  readonly number: number;
  readonly text: string;
}

interface Client {
  send(text: string): void;
  end(): void;
}

/**
 * Server-sent events for a few pages (WHATWG HTML, section 9.2): every message has an id, the last ones are kept, and a page that
 * comes back with `Last-Event-ID` gets what it missed. One that comes with the id of another start of this process is
 * told to begin anew.
 */
export class LiveStream {
  readonly #boot = randomBytes(4).toString("hex");
  readonly #clock: Clock;
  readonly #clients = new Set<Client>();
  readonly #onFirst: () => void;
  readonly #onLast: () => void;
  #kept: Message[] = [];
  #keptBytes = 0;
  #number = 0;
  #beat: Timer | undefined;

  constructor(clock: Clock, parts: { readonly onFirst: () => void; readonly onLast: () => void }) {
    this.#clock = clock;
    this.#onFirst = parts.onFirst;
    this.#onLast = parts.onLast;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** The stream of one page; `undefined` when there are too many. */
  open(lastEventId: string | null): ReadableStream<Uint8Array> | undefined {
    if (this.#clients.size >= MOST_CLIENTS) return undefined;
    const encoder = new TextEncoder();
    let client: Client | undefined;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          client = {
            send: (text) => {
              const waiting = -(controller.desiredSize ?? 0);
              if (waiting > MOST_WAITING) this.#leave(client);
              else controller.enqueue(encoder.encode(text));
            },
            end: () => controller.close(),
          };
          client.send("retry: 2000\n\n");
          for (const message of this.#missed(lastEventId)) client.send(message);
          this.#join(client);
        },
        cancel: () => this.#leave(client, true),
      },
      { highWaterMark: 0, size: (chunk) => chunk.byteLength },
    );
  }

  /** To every page, and to those that come back soon. */
  send(event: string, data: unknown): void {
    this.#number += 1;
    const text = `id: ${this.#boot}-${this.#number}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#kept.push({ number: this.#number, text });
    this.#keptBytes += text.length;
    while (this.#kept.length > KEPT || this.#keptBytes > KEPT_BYTES) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) break;
      this.#keptBytes -= oldest.text.length;
    }
    for (const client of [...this.#clients]) client.send(text);
  }

  close(): void {
    for (const client of [...this.#clients]) this.#leave(client);
  }

  #missed(lastEventId: string | null): readonly string[] {
    if (lastEventId === null || lastEventId === "") return [];
    const [boot, number] = lastEventId.split("-");
    const last = Number(number);
    const oldest = this.#kept[0]?.number ?? this.#number + 1;
    if (boot !== this.#boot || !(last + 1 >= oldest)) return ["event: reset\ndata: {}\n\n"];
    return this.#kept.filter((message) => message.number > last).map(({ text }) => text);
  }

  #join(client: Client): void {
    this.#clients.add(client);
    if (this.#clients.size > 1) return;
    this.#onFirst();
    this.#heartbeat();
  }

  #leave(client: Client | undefined, gone = false): void {
    if (client === undefined || !this.#clients.delete(client)) return;
    if (!gone) client.end();
    if (this.#clients.size > 0) return;
    this.#beat?.cancel();
    this.#onLast();
  }

  /** Keeps proxies from taking the connection for dead, and finds the dead ones. */
  #heartbeat(): void {
    this.#beat = this.#clock.after(HEARTBEAT, () => {
      for (const client of [...this.#clients]) client.send(": still here\n\n");
      if (this.#clients.size > 0) this.#heartbeat();
    });
  }
}
