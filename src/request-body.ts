import type { IncomingMessage } from "node:http";

/**
 * All of a request's body; `undefined` for one of more than `most` bytes, whose rest is left where it is: the answer ends the
 * connection. Rejects when the body is cut short.
 */
export function requestBody(incoming: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    incoming.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length <= most) chunks.push(chunk);
      else {
        chunks.length = 0;
        // Not destroyed: its connection would go before the answer.
        incoming.pause();
        resolve(undefined);
      }
    });
    incoming.once("end", () => resolve(Buffer.concat(chunks)));
    incoming.once("error", reject);
    incoming.once("close", () => reject(new Error("The request was cut short")));
  });
}
