import { describe, expect, it } from "vitest";

import { messagesOf, type ServerSent } from "./server-sent.js";

function streamOf(...chunks: readonly string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
      controller.close();
    },
  });
}

async function read(...chunks: readonly string[]): Promise<readonly ServerSent[]> {
  const messages: ServerSent[] = [];
  for await (const message of messagesOf(streamOf(...chunks), new AbortController().signal)) messages.push(message);
  return messages;
}

describe("messages of a stream", () => {
  it("are whole, however they were cut in transit, and comments are none", async () => {
    const text = 'retry: 2000\n\n: still here\n\nid: b-1\nevent: reports\ndata: {"a":\ndata: 1}\n\ndata: é\n\n';
    const expected = [
      { id: "b-1", event: "reports", data: '{"a":\n1}' },
      { id: undefined, event: "message", data: "é" },
    ];
    expect(await read(text)).toEqual(expected);
    expect(await read(...text.split(""))).toEqual(expected);
  });

  it("end when they are not wanted any more", async () => {
    const stop = new AbortController();
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
    });
    let count = 0;
    for await (const { data } of messagesOf(endless, stop.signal)) {
      count += Number(data);
      if (count === 3) stop.abort();
    }
    expect(count).toBe(3);
  });
});
