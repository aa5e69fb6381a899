import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import type { CachedFetch } from "../../src/http/fetch.js";

/** Header fields: an array is several lines, `undefined` none. */
export type Lines = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What the origin answers to one request of a row. */
export interface Reply {
  readonly status?: number;
  /** Date is now, unless it is given; `date: undefined` is an answer without one. "{here}" is the origin that was asked, with the row's path. */
  readonly fields?: Lines;
  /** @default "reply 1" for the first request, "reply 2" for the second … */
  readonly body?: string;
  /** 304 to a request with If-None-Match or If-Modified-Since, with these fields. */
  readonly unchanged?: Lines | undefined;
  /** The connection ends: before the answer, or within its body. */
  readonly cut?: "before" | "within";
  /** Milliseconds before the answer. */
  readonly delay?: number;
  /** All that is said, its end being the connection's: instead of everything else. "{body}" is the default body. */
  readonly raw?: string;
  /** 1xx answers before it. */
  readonly before?: readonly string[];
  /** Fields after the body, which is chunked then. */
  readonly trailers?: Lines;
}

/** What a request came to: see `Turn.expect`. */
export type Outcome = "asked" | "stored" | "validated";

/** One request of a row, and what must come of it. */
export interface Turn {
  readonly method?: string;
  readonly fields?: Lines;
  readonly body?: string;
  /** After the row's own path: "/other", "?a=b". */
  readonly path?: string;
  /** Milliseconds before it. */
  readonly wait?: number;
  /** Sent together with the turn before. */
  readonly together?: boolean;
  /**
   * `asked`: the origin was; `stored`: it was not; `validated`: it was asked with a condition, and the client got what was stored.
   */
  readonly expect?: Outcome;
  /** Asked again until it is so, for what goes on behind an answer. */
  readonly eventually?: boolean;
  /** The 1xx answers the client got before: status, and fields by name. */
  readonly informed?: readonly string[];
  readonly status?: number;
  /** The body the client got. */
  readonly text?: string;
  /** Fields the client got; `undefined` for none. */
  readonly got?: Readonly<Record<string, string | RegExp | undefined>>;
  /** Fields of the last request that reached the origin. */
  readonly sent?: Readonly<Record<string, string | RegExp | undefined>>;
  /** How many requests have reached the origin by then, this one included. */
  readonly count?: number;
}

export type Face = "gateway" | "private" | "shared";

/** A script: answers and requests, by one section of an RFC. */
export interface Row {
  /** "9111 §4.2.1". */
  readonly section: string;
  readonly title: string;
  /** The last one goes on. */
  readonly replies: readonly Reply[];
  readonly turns: readonly Turn[];
  /** @default all */
  readonly faces?: readonly Face[] | undefined;
}

export interface Heard {
  readonly method: string;
  readonly url: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** What a client got. */
export interface Received {
  readonly status: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly text: string;
  readonly informed?: readonly string[];
}

/** Asks, as one kind of client. */
export type Asker = (path: string, turn: Turn) => Promise<Received>;

/** An origin that plays rows: each has its own path, so that all of them go on at once. */
export class ScriptedOrigin {
  readonly #replies = new Map<string, readonly Reply[]>();
  readonly #heard = new Map<string, Heard[]>();
  readonly #server = createServer((incoming, outgoing) => void this.#answer(incoming, outgoing));

  async open(): Promise<string> {
    this.#server.keepAliveTimeout = 60_000;
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  play(path: string, replies: readonly Reply[]): void {
    this.#replies.set(path, replies);
    this.#heard.set(path, []);
  }

  heard(path: string): readonly Heard[] {
    return this.#heard.get(path) ?? [];
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = incoming;
    const path = /^\/\w+\/\d+/.exec(url)?.[0] ?? "";
    const heard = this.#heard.get(path);
    const replies = this.#replies.get(path);
    if (heard === undefined || replies === undefined) return void outgoing.writeHead(500).end("no such row");
    const fields = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    heard.push({ method, url, fields: new Map(fields) });
    const number = heard.length;
    const reply = replies[Math.min(number, replies.length) - 1] ?? {};
    incoming.resume();
    if (reply.delay !== undefined) await new Promise((resolve) => setTimeout(resolve, reply.delay));
    if (reply.cut === "before") return void incoming.socket.destroy();
    if (reply.raw !== undefined) {
      return void incoming.socket.end(reply.raw.replace("{body}", `reply ${number}`), "latin1");
    }
    for (const interim of reply.before ?? []) incoming.socket.write(`HTTP/1.1 ${interim}\r\n\r\n`);
    say(outgoing, incoming, reply, number);
  }
}

function say(outgoing: ServerResponse, incoming: IncomingMessage, reply: Reply, number: number): void {
  const { method, headers } = incoming;
  const { status = 200, fields = {}, unchanged, trailers } = reply;
  const isConditional = headers["if-none-match"] !== undefined || headers["if-modified-since"] !== undefined;
  const is304 = unchanged !== undefined && isConditional;
  const own = is304 ? unchanged : fields;
  outgoing.sendDate = false;
  const here = `http://${headers.host}${/^\/\w+\/\d+/.exec(incoming.url ?? "")?.[0]}`;
  const said = linesOf({ ...(!("date" in own) && { date: new Date().toUTCString() }), ...own });
  const lines = said.map((line) => line.replace("{here}", here));
  const bytes = Buffer.from(reply.body ?? `reply ${number}`);
  const isBodiless = is304 || BODILESS.has(status) || method === "HEAD";
  const isFramed = "content-length" in own || isBodiless || trailers !== undefined;
  if (!isFramed) lines.push("content-length", String(bytes.length));
  if (trailers !== undefined) lines.push("transfer-encoding", "chunked", "trailer", Object.keys(trailers).join(", "));
  outgoing.writeHead(is304 ? 304 : status, lines);
  if (isBodiless) return void outgoing.end();
  if (reply.cut === "within") {
    outgoing.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => incoming.socket.destroy());
    return;
  }
  if (trailers !== undefined)
    outgoing.addTrailers(Object.fromEntries(Object.entries(trailers).map(([name, value]) => [name, String(value)])));
  outgoing.end(bytes);
}

const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

function linesOf(fields: Lines): string[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return (typeof value === "string" ? [value] : value).flatMap((line) => [name, line]);
  });
}

/** A client on plain connections, as a proxy's clients are. */
export function socketAsker(base: string): { readonly ask: Asker; readonly close: () => void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { port } = new URL(base);
  const ask: Asker = async (path, { method = "GET", fields = {}, body }) => {
    const outgoing = request({ port, host: "127.0.0.1", path, method, agent });
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) outgoing.setHeader(name, value);
    // Node says no length of its own for methods that seldom have a body.
    if (body !== undefined) outgoing.setHeader("content-length", Buffer.byteLength(body));
    const informed: string[] = [];
    outgoing.on("information", ({ statusCode, headers }) => {
      const said = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}`);
      informed.push([statusCode, ...said].join(" "));
    });
    outgoing.end(body);
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      // What was cut off is as long as it came.
    }
    const lines = new Map<string, string>();
    for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
      const name = (incoming.rawHeaders[at] ?? "").toLowerCase();
      const before = lines.get(name);
      const value = incoming.rawHeaders[at + 1] ?? "";
      lines.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    return {
      status: incoming.statusCode ?? 0,
      fields: lines,
      text: Buffer.concat(chunks).toString("latin1"),
      informed,
    };
  };
  return { ask, close: () => agent.destroy() };
}

/** A client that is `cachedFetch`. */
export function fetchAsker(base: string, fetch: CachedFetch): Asker {
  return async (path, { method = "GET", fields = {}, body }) => {
    const headers = new Headers();
    for (const [name, value] of Object.entries(fields)) {
      for (const line of typeof value === "string" ? [value] : (value ?? [])) headers.append(name, line);
    }
    const init = { method, headers, redirect: "manual" as const, ...(body !== undefined && { body }) };
    const response = await fetch(`${base}${path}`, init);
    // What was cut off is none at all.
    const text = await response.text().catch(() => "");
    return { status: response.status, fields: new Map(response.headers), text };
  };
}

/** Plays a row; what was not as it must be, one line for each. */
export async function play(origin: ScriptedOrigin, ask: Asker, row: Row, path: string): Promise<readonly string[]> {
  origin.play(path, row.replies);
  const wrong: string[] = [];
  for (let at = 0; at < row.turns.length; at++) {
    const group = [row.turns[at] as Turn];
    while (row.turns[at + 1]?.together === true) group.push(row.turns[++at] as Turn);
    const { wait } = group[0] as Turn;
    if (wait !== undefined) await new Promise((resolve) => setTimeout(resolve, wait));
    const label = `request ${at + 1}`;
    const [turn] = group;
    if (turn?.eventually === true) {
      wrong.push(...(await insist(origin, ask, turn, path)).map((one) => `${label} ${one}`));
      continue;
    }
    const before = origin.heard(path).length;
    const all = await Promise.all(
      group.map(async (turn) => {
        const asked = ask(`${path}${turn.path ?? ""}`, turn).catch((error: unknown) => String(error));
        const got = await Promise.race([asked, late()]);
        return { turn, got };
      }),
    );
    const heard = origin.heard(path);
    for (const { turn, got } of all) {
      if (typeof got === "string") wrong.push(`${label} failed: ${got}`);
      else wrong.push(...differences(turn, got, heard, heard.length - before).map((one) => `${label} ${one}`));
    }
  }
  return wrong;
}

/** Asks until it comes to what it must, and says what was wrong the last time. */
async function insist(origin: ScriptedOrigin, ask: Asker, turn: Turn, path: string): Promise<readonly string[]> {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const before = origin.heard(path).length;
    const got = await ask(`${path}${turn.path ?? ""}`, turn);
    const heard = origin.heard(path);
    const wrong = differences(turn, got, heard, heard.length - before);
    if (wrong.length === 0 || Date.now() > end) return wrong;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What is said of a request that nobody answers. */
async function late(): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, PATIENCE).unref());
  return "no answer in time";
}

/** How long a request may take on a machine that does much else; milliseconds. */
const PATIENCE = 15_000;

function differences(turn: Turn, got: Received, heard: readonly Heard[], more: number): string[] {
  const wrong: string[] = [];
  const last = heard.at(-1);
  const { expect, status, text, count } = turn;
  if (expect === "stored" && more > 0) wrong.push("went to the origin");
  if (expect === "asked" && more === 0) wrong.push("did not go to the origin");
  if (expect === "validated") {
    const isConditional = last?.fields.has("if-none-match") === true || last?.fields.has("if-modified-since") === true;
    if (more === 0 || !isConditional) wrong.push("was not validated");
  }
  if (status !== undefined && got.status !== status) wrong.push(`got ${got.status}, not ${status}`);
  if (text !== undefined && got.text !== text) wrong.push(`got \`${got.text}\`, not \`${text}\``);
  if (count !== undefined && heard.length !== count)
    wrong.push(`was number ${heard.length} at the origin, not ${count}`);
  const { informed } = turn;
  if (informed !== undefined && informed.join(" | ") !== got.informed?.join(" | ")) {
    wrong.push(`was told \`${got.informed?.join(" | ")}\`, not \`${informed.join(" | ")}\``);
  }
  wrong.push(...unlike("got", turn.got ?? {}, got.fields));
  wrong.push(...unlike("sent", turn.sent ?? {}, last?.fields ?? new Map()));
  return wrong;
}

function unlike(
  what: string,
  wanted: Readonly<Record<string, string | RegExp | undefined>>,
  had: ReadonlyMap<string, string>,
): string[] {
  return Object.entries(wanted).flatMap(([name, value]) => {
    const own = had.get(name);
    const isLike = value instanceof RegExp ? own !== undefined && value.test(own) : own === value;
    return isLike ? [] : [`${what} \`${name}: ${own}\`, not \`${String(value)}\``];
  });
}
