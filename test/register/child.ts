import type { FromChild, ToChild } from "./protocol.js";
import { startReader } from "./reader.js";
import { startWriter } from "./writer.js";

/* One process of the register test. It ends with the one that started it. */

let ask: ((what: string) => Promise<unknown>) | undefined;

process.on("disconnect", () => process.exit());
process.on("SIGINT", () => undefined);
process.on("message", (message: ToChild) => {
  switch (message.type) {
    case "read":
      ask = startReader(message.settings, send);
      return;
    case "write":
      ask = startWriter(message.settings, send);
      return;
    case "ask":
      ask?.(message.what).then(
        (value) => send({ type: "answer", id: message.id, value }),
        (error: unknown) => send({ type: "answer", id: message.id, value: { error: String(error) } }),
      );
  }
});
send({ type: "ready" });

function send(message: FromChild): void {
  // The starter may be gone: then there is nobody to tell.
  process.send?.(message, undefined, undefined, () => undefined);
}
