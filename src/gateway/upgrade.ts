import { ServerResponse, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import { fieldValue, type Fields } from "../http/fields.js";
import { connectionFields, endToEnd } from "../http/hop-by-hop.js";
import type { Upgraded } from "./ask.js";
import type { Refusal } from "./request.js";

/** Why a request for another protocol is refused: only WebSocket's passes, in its one form (RFC 6455 §4.1). */
export function upgradeRefusal(incoming: IncomingMessage, fields: Fields): Refusal | undefined {
  const protocol = fieldValue(fields, "upgrade")?.trim().toLowerCase();
  if (protocol !== "websocket") return { status: 400, why: "upgrade" };
  if (!connectionFields(fields).has("upgrade") || incoming.method !== "GET" || incoming.httpVersion !== "1.1") {
    return { status: 400, why: "upgrade" };
  }
  const hasBody = ["content-length", "transfer-encoding"].some((name) => fieldValue(fields, name) !== undefined);
  if (hasBody) return { status: 400, why: "a body" };
  if (fieldValue(fields, "sec-websocket-version")?.trim() !== "13") return { status: 426, why: "WebSocket version" };
  const key = fieldValue(fields, "sec-websocket-key")?.trim() ?? "";
  return /^[\w+/]{22}==$/.test(key) ? undefined : { status: 400, why: "WebSocket key" };
}

/** The response to a request whose connection Node has given up: it ends with it. */
export function responseOn(incoming: IncomingMessage, socket: Duplex): ServerResponse {
  const outgoing = new ServerResponse(incoming);
  outgoing.shouldKeepAlive = false;
  // Sockets are what it is: those of "upgrade" are Duplex only for servers that are made of other streams.
  outgoing.assignSocket(socket as Socket);
  outgoing.once("finish", () => {
    outgoing.detachSocket(socket as Socket);
    socket.end();
  });
  return outgoing;
}

/** Makes two connections one, until either ends. Resolves then, and never rejects. */
export function join(client: Duplex, head: Uint8Array, { fields, socket: origin }: Upgraded): Promise<void> {
  const lines = endToEnd(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  client.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n${lines.join("")}\r\n`,
    "latin1",
  );
  if (head.length > 0) origin.write(head);
  quiet(client);
  quiet(origin);
  return new Promise((resolve) => {
    const end = (): void => {
      client.destroy();
      origin.destroy();
      resolve();
    };
    client.once("close", end).on("error", end);
    origin.once("close", end).on("error", end);
    client.pipe(origin);
    origin.pipe(client);
  });
}

/** No timeout of HTTP's: a WebSocket may be silent for as long as both sides like. */
function quiet(socket: Duplex): void {
  if (!("setTimeout" in socket)) return;
  const own = socket as Socket;
  own.setTimeout(0);
  own.setNoDelay(true);
}

/** Whether the server has agreed to what was asked for. */
export function isWebSocket(fields: Fields): boolean {
  return fieldValue(fields, "upgrade")?.trim().toLowerCase() === "websocket";
}
