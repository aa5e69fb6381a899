import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";

import type { Clock } from "../../clock.js";

type NodeResponse = ServerResponse | Http2ServerResponse;

/** How a body's writing ended. */
export type Ending = "whole" | "gone" | "stalled" | "broken";

export interface Written {
  /** Bytes handed to the connection. */
  readonly bytes: number;
  readonly ending: Ending;
  /** Why it broke. */
  readonly error: unknown;
}

export interface Patience {
  /** Longest wait for a client to take what was written; milliseconds. */
  readonly stallTimeout: number;
  readonly clock: Clock;
}

/** Bytes written at once: a client is known to read when it has taken so many. */
const SLICE = 65_536;
/** The stream's code for a body that was cut short: INTERNAL_ERROR (RFC 9113 §7). */
const INTERNAL_ERROR = 2;

/**
 * Writes a body at the pace its client takes it, after the head. Never rejects.
 *
 * @param length what the head says, if it says a length.
 */
export async function writeBody(
  outgoing: NodeResponse,
  body: ReadableStream<Uint8Array> | Uint8Array | null,
  length: number | undefined,
  patience: Patience,
): Promise<Written> {
  if (body instanceof ReadableStream) return writeStream(outgoing, body, length, patience);
  if (body === null || body.length === 0) return finish(outgoing, undefined, 0, patience);
  let bytes = 0;
  while (body.length - bytes > SLICE) {
    const ending = await writeSlice(outgoing, body.subarray(bytes, bytes + SLICE), patience);
    if (ending !== undefined) return { bytes, ending, error: undefined };
    bytes += SLICE;
  }
  return finish(outgoing, bytes === 0 ? body : body.subarray(bytes), body.length, patience);
}

/** Ends the connection of an answer that cannot be ended as it should be: nobody can take it for whole. */
export function cut(outgoing: NodeResponse): void {
  if (outgoing.req.httpVersionMajor >= 2) {
    (outgoing as Http2ServerResponse).stream?.close(INTERNAL_ERROR);
    return;
  }
  const { socket } = outgoing as ServerResponse;
  // Where the end of the connection is the end of the body, an orderly end would say that it is whole.
  if (socket !== null && "resetAndDestroy" in socket && outgoing.req.httpVersion === "1.0") socket.resetAndDestroy();
  (outgoing as ServerResponse).destroy();
}

async function writeStream(
  outgoing: NodeResponse,
  body: ReadableStream<Uint8Array>,
  length: number | undefined,
  patience: Patience,
): Promise<Written> {
  const reader = body.getReader();
  let bytes = 0;
  const end = async (ending: Ending, error: unknown): Promise<Written> => {
    if (ending !== "gone") cut(outgoing);
    // It may have failed already, which is why it ends here.
    await reader.cancel(error).catch(() => undefined);
    return { bytes, ending, error };
  };
  // The head goes ahead of a body whose first bytes are not there yet.
  const head = setImmediate(() => flush(outgoing));
  for (;;) {
    let chunk: Uint8Array | undefined;
    try {
      chunk = (await reader.read()).value;
    } catch (error) {
      return end(isGone(outgoing) ? "gone" : "broken", error);
    } finally {
      clearImmediate(head);
    }
    if (isGone(outgoing)) return end("gone", undefined);
    if (chunk === undefined) {
      if (length !== undefined && bytes < length) return end("broken", new Error("The body is shorter than it says"));
      return finish(outgoing, undefined, bytes, patience);
    }
    if (length !== undefined && bytes + chunk.length > length) {
      return end("broken", new Error("The body is longer than it says"));
    }
    for (let from = 0; from < chunk.length; from += SLICE) {
      const ending = await writeSlice(outgoing, chunk.subarray(from, from + SLICE), patience);
      if (ending !== undefined) return end(ending, undefined);
    }
    bytes += chunk.length;
  }
}

function flush(outgoing: NodeResponse): void {
  // HTTP/2's response has it as well, and its types do not.
  if (!isGone(outgoing)) (outgoing as ServerResponse).flushHeaders();
}

/** Writes so much, and waits until the client has taken enough of it. */
async function writeSlice(outgoing: NodeResponse, slice: Uint8Array, patience: Patience): Promise<Ending | undefined> {
  if (isGone(outgoing)) return "gone";
  // Alike in both; only their types differ.
  if ((outgoing as ServerResponse).write(slice)) return undefined;
  const ending = await waited(outgoing, "drain", patience);
  return ending === "whole" ? undefined : ending;
}

async function finish(
  outgoing: NodeResponse,
  last: Uint8Array | undefined,
  bytes: number,
  patience: Patience,
): Promise<Written> {
  if (isGone(outgoing)) return { bytes, ending: "gone", error: undefined };
  if (last === undefined) outgoing.end();
  else outgoing.end(last);
  const ending = outgoing.writableFinished ? "whole" : await waited(outgoing, "finish", patience);
  return { bytes, ending, error: undefined };
}

/** Whether nothing that is written can reach the client any more. */
export function isGone(outgoing: NodeResponse): boolean {
  if (outgoing.req.httpVersionMajor < 2) return outgoing.destroyed && !outgoing.writableFinished;
  const { stream } = outgoing as Http2ServerResponse;
  return stream === undefined || ((stream.destroyed || stream.closed) && !stream.writableFinished);
}

/** Waits for the client to take what was written, as long as it may; then cuts it. */
function waited(outgoing: NodeResponse, event: "drain" | "finish", { stallTimeout, clock }: Patience): Promise<Ending> {
  return new Promise<Ending>((resolve) => {
    const settle = (ending: Ending): void => {
      timer.cancel();
      outgoing.off(event, taken);
      outgoing.off("close", closed);
      resolve(ending);
    };
    // HTTP/2's response says "finish" when its stream is reset as well.
    const taken = (): void => settle(isGone(outgoing) ? "gone" : "whole");
    const closed = (): void => settle(outgoing.writableFinished ? "whole" : "gone");
    const timer = clock.after(stallTimeout, () => {
      settle("stalled");
      cut(outgoing);
    });
    outgoing.once(event, taken);
    outgoing.once("close", closed);
  });
}
