import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { requestBody } from "./request-body.js";

/** A server that says what it has got, of 10 bytes at most. */
async function server(): Promise<{ port: number; got: unknown[] }> {
  const got: unknown[] = [];
  const own = createServer((incoming, outgoing) => {
    void requestBody(incoming, 10).then(
      (body) => {
        got.push(body && Buffer.from(body).toString());
        outgoing.writeHead(body === undefined ? 413 : 200, { connection: "close" }).end();
      },
      (error: unknown) => got.push(error),
    );
  });
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  onTestFinished(() => {
    own.close();
    own.closeAllConnections();
  });
  return { port: (own.address() as AddressInfo).port, got };
}

describe("the body of a request", () => {
  it("is given whole, up to so many bytes, and of what is longer the client is told", async () => {
    const { port, got } = await server();
    for (const body of ["", "x".repeat(10), "x".repeat(11), "x".repeat(100_000)]) {
      const outgoing = request({ port, host: "127.0.0.1", method: "POST" });
      outgoing.end(body);
      const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
      incoming.resume();
      expect([body.length, incoming.statusCode]).toEqual([body.length, body.length > 10 ? 413 : 200]);
    }
    expect(got).toEqual(["", "x".repeat(10), undefined, undefined]);
  });

  it("is a failure when it is cut short", async () => {
    const { port, got } = await server();
    const socket = connect(port, "127.0.0.1");
    socket.end("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab");
    await vi.waitFor(() => expect(got).toHaveLength(1), { timeout: 30_000 });
    socket.destroy();
    expect(got).toEqual([expect.any(Error)]);
  });
});
