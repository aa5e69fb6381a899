import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { CacheError } from "../errors.js";
import type { PurgeTarget } from "../http/purge.js";
import { requestBody } from "../request-body.js";
import { isSameSecret } from "../same-secret.js";

/** A handler of node:http that has a part of the admin port. */
export type AdminHandler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** What operators can ask for. */
export interface AdminOperations {
  /** Whether requests should come here. */
  readonly ready: () => Promise<boolean>;
  readonly stats: () => Promise<unknown>;
  /** Acknowledged by every process that answers clients. */
  readonly purge: (targets: readonly PurgeTarget[], mode: "hard" | "soft") => Promise<void>;
  readonly reload: () => Promise<void>;
}

export interface AdminSettings {
  readonly port: number;
  readonly host: string;
  readonly token: string | undefined;
}

/** Bytes of a request's body. */
const MOST_BYTES = 1_048_576;
/** Of one purge. */
const MOST_TARGETS = 10_000;

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** The port for operators: health, readiness, stats, purges, reloads, and whatever is mounted there. */
export class AdminServer {
  readonly #settings: AdminSettings;
  readonly #operations: AdminOperations;
  readonly #mounts = new Map<string, AdminHandler>();
  readonly #server: Server;

  constructor(settings: AdminSettings, operations: AdminOperations) {
    this.#settings = settings;
    this.#operations = operations;
    this.#server = createServer({ headersTimeout: 10_000, requestTimeout: 30_000 }, (incoming, outgoing) => {
      void this.#handle(incoming, outgoing);
    });
  }

  /** Gives a handler all paths that begin with the segment `prefix`, as `/dashboard`; it sees them whole. */
  mount(prefix: string, handler: AdminHandler): void {
    this.#mounts.set(prefix.replace(/\/+$/, ""), handler);
  }

  /** @throws CacheError `ERR_CACHE_OPTION` when the port cannot be had. */
  async open(): Promise<AddressInfo> {
    const { port, host } = this.#settings;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) =>
        reject(
          new CacheError(
            "ERR_CACHE_OPTION",
            `Expected \`admin\` to be free, got \`${host}:${port}\` (${cause.message})`,
            { cause },
          ),
        ),
      );
      this.#server.listen(port, host, resolve);
    });
    return this.#server.address() as AddressInfo;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** Never rejects. */
  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const path = (incoming.url ?? "/").split("?")[0] ?? "/";
    const mounted = this.#mountedAt(path);
    try {
      if (mounted !== undefined) return mounted(incoming, outgoing);
      const reply = await this.#answer(incoming, path);
      // The rest of the body is not read.
      if (reply.status === 413) outgoing.shouldKeepAlive = false;
      send(outgoing, reply);
    } catch (error) {
      const isBadRequest =
        error instanceof CacheError && (error.code === "ERR_CACHE_KEY" || error.code === "ERR_CACHE_OPTION");
      send(outgoing, {
        status: isBadRequest ? 400 : 500,
        body: { error: error instanceof Error ? error.message : String(error) },
      });
    }
  }

  #mountedAt(path: string): AdminHandler | undefined {
    for (const [prefix, handler] of this.#mounts) {
      if (path === prefix || path.startsWith(`${prefix}/`)) return handler;
    }
    return undefined;
  }

  async #answer(incoming: IncomingMessage, path: string): Promise<Reply> {
    const what = `${incoming.method === "HEAD" ? "GET" : incoming.method} ${path}`;
    if (what === "GET /health") return { status: 200, body: { status: "ok" } };
    if (what === "GET /ready") {
      const isReady = await this.#operations.ready();
      return { status: isReady ? 200 : 503, body: { status: isReady ? "ready" : "not ready" } };
    }
    if (what === "GET /stats") return { status: 200, body: await this.#operations.stats() };
    if (what !== "POST /purge" && what !== "POST /reload") return { status: 404, body: { error: "not found" } };
    const refusal = this.#refusal(incoming);
    if (refusal !== undefined) return refusal;
    if (what === "POST /reload") {
      await this.#operations.reload();
      return { status: 200, body: { status: "reloaded" } };
    }
    const body = await requestBody(incoming, MOST_BYTES);
    if (body === undefined)
      return { status: 413, body: { error: `Expected a purge to be at most ${MOST_BYTES} bytes` } };
    const { targets, mode } = purgeOf(jsonOf(body));
    await this.#operations.purge(targets, mode);
    return { status: 200, body: { status: "purged", targets: targets.length } };
  }

  #refusal(incoming: IncomingMessage): Reply | undefined {
    const { token } = this.#settings;
    if (token === undefined)
      return { status: 403, body: { error: "Purges and reloads need `admin.token` to be configured" } };
    const said = /^Bearer (.+)$/i.exec(incoming.headers.authorization ?? "")?.[1] ?? "";
    if (isSameSecret(said, token)) return undefined;
    return { status: 401, body: { error: "Expected `Authorization: Bearer` with the token" } };
  }
}

function send(outgoing: ServerResponse, { status, body }: Reply): void {
  if (outgoing.headersSent) return;
  const text = `${JSON.stringify(body)}\n`;
  outgoing.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "content-length": Buffer.byteLength(text),
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  });
  outgoing.end(text);
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    throw badPurge("JSON");
  }
}

/** `{ url }`, `{ tag }` or `{ prefix }`, or `{ targets: [of these] }`, each with `mode`. */
function purgeOf(given: unknown): { targets: readonly PurgeTarget[]; mode: "hard" | "soft" } {
  if (typeof given !== "object" || given === null) throw badPurge("an object");
  const { mode = "hard", targets, ...one } = given as Readonly<Record<string, unknown>>;
  if (mode !== "hard" && mode !== "soft") throw badPurge('a mode that is "hard" or "soft"');
  const list: unknown = targets ?? [one];
  if (
    !Array.isArray(list) ||
    list.length === 0 ||
    list.length > MOST_TARGETS ||
    (targets !== undefined && Object.keys(one).length > 0)
  ) {
    throw badPurge(`1 to ${MOST_TARGETS} targets`);
  }
  return { targets: list.map(targetOf), mode };
}

function targetOf(given: unknown): PurgeTarget {
  const entries = typeof given === "object" && given !== null ? Object.entries(given) : [];
  const [name, text] = entries[0] ?? [];
  if (entries.length === 1 && typeof text === "string" && text !== "") {
    if (name === "url") return { url: text };
    if (name === "tag") return { tag: text };
    if (name === "prefix") return { prefix: text };
  }
  throw badPurge("targets that are each { url }, { tag } or { prefix }");
}

function badPurge(rule: string): CacheError {
  return new CacheError("ERR_CACHE_KEY", `Expected a purge to be ${rule}`);
}
