/** One message of a stream. */
export interface ServerSent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** The messages of a stream of server-sent events (WHATWG HTML, section 9.2.6), until it ends or the signal is aborted. */
export async function* messagesOf(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<ServerSent, undefined> {
  const reader = stream.getReader();
  const cancel = (): void => {
    // The stream may have failed already, which is what `read` tells.
    reader.cancel().catch(() => undefined);
  };
  signal.addEventListener("abort", cancel, { once: true });
  const decoder = new TextDecoder();
  let rest = "";
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const message = messageOf(block);
        if (message !== undefined) yield message;
      }
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/** `undefined` for a comment, and for what only says how soon to come back. */
function messageOf(block: string): ServerSent | undefined {
  let [id, event]: (string | undefined)[] = [];
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value = ""] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "id") id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { id, event: event ?? "message", data: data.join("\n") };
}
