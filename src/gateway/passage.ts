import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

import type { Clock } from "../clock.js";
import type { HttpEngine } from "../http/engine.js";
import type { Answer, Exchange, OriginAnswer } from "../http/exchange.js";
import { fieldValue, type Fields } from "../http/fields.js";
import { withoutNamed } from "../http/hop-by-hop.js";
import { answerNode, type NodeOutcome, type NodeRequest, type NodeResponse } from "../http/node/answer.js";
import type { Hearing } from "./ask.js";
import { failureAnswer, OriginError, refusalAnswer } from "./failure.js";
import type { Origin } from "./origin.js";
import type { OriginRequest } from "./origin-server.js";
import { plainAddress } from "./addresses.js";
import { changedFields, forwardedFields, isLoop } from "./request-fields.js";
import { passInterim } from "./interim.js";
import { isRead, see, type KnownTargets, type Refusal, type SeenRequest } from "./request.js";
import type { ResolvedConfig } from "./resolve-config.js";
import { RULE_FIELD, ruledFields } from "./ttl.js";
import { isWebSocket, join, responseOn, upgradeRefusal } from "./upgrade.js";
import { Upload } from "./upload.js";

/** What a request is answered by. */
export interface PassageSettings {
  readonly config: ResolvedConfig;
  readonly targets: KnownTargets;
  readonly origins: ReadonlyMap<string, Origin>;
  readonly engine: HttpEngine;
  /** This gateway in Via. */
  readonly via: string;
  readonly clock: Clock;
  /** Whether the connection is to end with this answer. */
  readonly isLast: () => boolean;
  /** It has become a WebSocket. */
  readonly upgraded: () => void;
  /** Called once. */
  readonly ended: (seen: SeenRequest | undefined, outcome: NodeOutcome) => void;
}

/** A refused request has no place in the store; the engine takes it to `send` at once, which says why. */
const NOWHERE = new URL("http://refused.invalid/");

/** The way of one request through the gateway. */
export class Passage {
  readonly #incoming: NodeRequest;
  readonly #settings: PassageSettings;
  #upload: Upload | null = null;

  constructor(incoming: NodeRequest, settings: PassageSettings) {
    this.#incoming = incoming;
    this.#settings = settings;
  }

  /** Never rejects. */
  async answer(outgoing: NodeResponse, expectsContinue: boolean): Promise<void> {
    const { config, targets, via, isLast, ended } = this.#settings;
    const seen = see(this.#incoming, config, targets);
    if (isLast() && "shouldKeepAlive" in outgoing) outgoing.shouldKeepAlive = false;
    if ("why" in seen) return this.#refuse(outgoing, undefined, seen);
    if (isLoop(seen.fields, via)) return this.#refuse(outgoing, seen, { status: 502, why: "loop" });
    const send = this.#sender(seen, outgoing, expectsContinue);
    const outcome = await this.#through(outgoing, seen, send, modeOf(seen));
    ended(seen, outcome);
  }

  /** A request for another protocol. Never rejects. */
  async upgrade(incoming: IncomingMessage, socket: Duplex, head: Uint8Array): Promise<void> {
    const { config, targets, via } = this.#settings;
    // One that goes away tells it by its end.
    socket.on("error", () => socket.destroy());
    const seen = see(incoming, config, targets);
    if ("why" in seen) return this.#refuse(responseOn(incoming, socket), undefined, seen);
    const refusal =
      upgradeRefusal(incoming, seen.fields) ?? (isLoop(seen.fields, via) ? { status: 502, why: "loop" } : undefined);
    if (refusal !== undefined) return this.#refuse(responseOn(incoming, socket), seen, refusal);
    await this.#join(incoming, socket, head, seen);
  }

  async #join(incoming: IncomingMessage, socket: Duplex, head: Uint8Array, seen: SeenRequest): Promise<void> {
    const { ended, upgraded } = this.#settings;
    const leaving = new AbortController();
    const leave = (): void => leaving.abort(new Error("The client went away"));
    socket.once("close", leave);
    let answer: OriginAnswer;
    try {
      const request = this.#request(seen, seen.fields, null);
      const got = await this.#origin(seen).askUpgrade(request, "websocket", { signal: leaving.signal });
      socket.off("close", leave);
      if ("socket" in got) {
        if (!isWebSocket(got.fields) || socket.destroyed) {
          got.socket.destroy();
          throw new OriginError("http_protocol_error", false, undefined);
        }
        upgraded();
        await join(socket, head, got);
        ended(seen, { status: 101, fields: [], bytes: 0, ending: "whole", error: undefined });
        return;
      }
      answer = got;
    } catch (error) {
      await this.#reply(responseOn(incoming, socket), seen, () => Promise.reject(error));
      return;
    }
    await this.#reply(responseOn(incoming, socket), seen, () => Promise.resolve(answer));
  }

  async #reply(outgoing: ServerResponse, seen: SeenRequest, send: Exchange["send"]): Promise<void> {
    this.#settings.ended(seen, await this.#through(outgoing, seen, send, "no-store"));
  }

  async #refuse(outgoing: NodeResponse, seen: SeenRequest | undefined, refusal: Refusal): Promise<void> {
    const { engine, config, ended } = this.#settings;
    const failed = (): Answer => refusalAnswer(config.name, refusal);
    if ("shouldKeepAlive" in outgoing) outgoing.shouldKeepAlive = false;
    const outcome = await answerNode(engine, this.#incoming, outgoing, {
      url: NOWHERE,
      fields: [],
      mode: "no-store",
      send: () => Promise.reject(new Error(refusal.why)),
      failed,
    });
    ended(seen, outcome);
  }

  #through(
    outgoing: NodeResponse,
    seen: SeenRequest,
    send: Exchange["send"],
    mode: Exchange["mode"],
  ): Promise<NodeOutcome> {
    const { engine, config, clock } = this.#settings;
    return answerNode(engine, this.#incoming, outgoing, {
      // Also of what changes something: that is what outdates what is kept.
      url: seen.keyUrl,
      fields: withoutNamed(seen.fields),
      mode,
      send,
      hidden: RULE_FIELD,
      amend: (answer) => this.#beforeHead(outgoing, answer),
      failed: (error) => this.#beforeHead(outgoing, failureAnswer(config.name, error)),
      stallTimeout: config.limits.stallTimeout,
      clock,
    });
  }

  /** What is left of an upload that is answered before its end is nobody's: its connection ends with the answer. */
  #beforeHead(outgoing: NodeResponse, answer: Answer): Answer {
    const isLeft = this.#upload !== null && !this.#incoming.complete;
    if (isLeft && "shouldKeepAlive" in outgoing) outgoing.shouldKeepAlive = false;
    return answer;
  }

  #sender(seen: SeenRequest, outgoing: NodeResponse, expectsContinue: boolean): Exchange["send"] {
    const { config, clock } = this.#settings;
    return async (fields, signal) => {
      const body = seen.hasBody ? new Upload(this.#incoming, config.limits, clock) : null;
      this.#upload = body;
      if (body !== null && expectsContinue && !outgoing.headersSent) outgoing.writeContinue();
      const hearing: Hearing = { signal, informed: (status, hints) => passInterim(outgoing, status, hints) };
      const {
        status,
        statusText,
        fields: received,
        body: bytes,
      } = await this.#origin(seen).ask(this.#request(seen, fields, body), hearing);
      const ruled = ruledFields(status, changedFields(received, seen.route), seen.route.ttl);
      return { status, statusText, fields: ruled, body: bytes };
    };
  }

  #request(seen: SeenRequest, fields: Fields, body: Upload | null): OriginRequest {
    const { method, route, isTrusted } = seen;
    const isReading = isRead(method);
    const url = isReading ? seen.keyUrl : seen.url;
    const forwarded = forwardedFields(fields, route, {
      isRead: isReading,
      url,
      httpVersion: this.#incoming.httpVersion,
      address: plainAddress(this.#incoming.socket?.remoteAddress ?? ""),
      isTrusted,
      via: this.#settings.via,
    });
    const length = body === null ? undefined : fieldValue(seen.fields, "content-length");
    // Servers that know of no body in a read take it for the next request.
    const isLast = body !== null && !TAKE_BODIES.has(method);
    return { method, path: `${url.pathname}${url.search}`, fields: forwarded, host: url.host, body, length, isLast };
  }

  #origin({ route }: SeenRequest): Origin {
    const origin = this.#settings.origins.get(route.origin);
    if (origin === undefined) throw new OriginError("destination_unavailable", true, undefined);
    return origin;
  }
}

const TAKE_BODIES: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH", "QUERY"]);

/** What goes past the cache: by its route, with a secret in its URL, and a read with a body, which is no part of the key. */
function modeOf({ route, isSensitive, method, hasBody }: SeenRequest): Exchange["mode"] {
  return !route.cache || isSensitive || (isRead(method) && hasBody) ? "no-store" : "default";
}
