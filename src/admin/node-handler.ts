import type { IncomingMessage, ServerResponse } from "node:http";
import { requestBody } from "../request-body.js";

/** Answers a request of `node:http`, and of what is built on it. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** More than any request of ours; what is longer is not read. */
const MOST_BODY = 65_536;

/** A fetch-style function as a handler of `node:http`. Never throws. */
export function nodeHandler(fetch: (request: Request) => Promise<Response>): NodeHandler {
  return (incoming, outgoing) => {
    const gone = new AbortController();
    outgoing.once("close", () => gone.abort());
    handle(fetch, incoming, outgoing, gone.signal).catch(() => {
      // The connection is gone, or the request is none: there is nobody to tell.
      if (!outgoing.headersSent) outgoing.writeHead(400);
      outgoing.end();
    });
  };
}

async function handle(
  fetch: (request: Request) => Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  const request = await requestOf(incoming);
  if (request === undefined) {
    outgoing.writeHead(413, { connection: "close" }).end();
    return;
  }
  const response = await fetch(request);
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) outgoing.setHeader(name, value);
  if (response.body === null || incoming.method === "HEAD") {
    outgoing.end();
    return;
  }
  const reader = response.body.getReader();
  gone.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
  if (gone.aborted) await reader.cancel();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || gone.aborted) break;
    if (!outgoing.write(value)) await drained(outgoing, gone);
  }
  outgoing.end();
}

/** `undefined` when its body is too long. */
async function requestOf(incoming: IncomingMessage): Promise<Request | undefined> {
  const { method = "GET", headers } = incoming;
  // A router may have cut off what it is mounted under: what the browser asked for says where the page is.
  const original: unknown = Reflect.get(incoming, "originalUrl");
  const path = typeof original === "string" ? original : (incoming.url ?? "/");
  const isSecure = Reflect.get(incoming.socket, "encrypted") === true;
  const url = new URL(
    `${isSecure ? "https" : "http"}://${headers.host ?? "localhost"}${path.startsWith("/") ? path : "/"}`,
  );
  const given = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !name.startsWith(":")) given.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  if (method === "GET" || method === "HEAD") return new Request(url, { method, headers: given });
  const body = await bodyOf(incoming);
  return body === undefined ? undefined : new Request(url, { method, headers: given, body });
}

/** What a framework has parsed already is written again; `undefined` when it is too long. */
async function bodyOf(incoming: IncomingMessage): Promise<string | undefined> {
  const parsed: unknown = Reflect.get(incoming, "body");
  if (parsed !== undefined) return typeof parsed === "string" ? parsed : JSON.stringify(parsed);
  const body = await requestBody(incoming, MOST_BODY);
  return body && new TextDecoder().decode(body);
}

function drained(outgoing: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      gone.removeEventListener("abort", done);
      resolve();
    };
    outgoing.on("drain", done);
    gone.addEventListener("abort", done);
    if (gone.aborted) done();
  });
}
