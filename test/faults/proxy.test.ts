import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { openProxy, type Proxy } from "./proxy.js";

/** Sends back whatever it gets. */
const echo = createServer((socket) => socket.on("error", () => undefined).pipe(socket));

beforeAll(() => new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve)));
afterAll(() => void echo.close());

async function open(): Promise<{ proxy: Proxy; dial: () => Promise<Line> }> {
  const proxy = await openProxy((echo.address() as AddressInfo).port);
  onTestFinished(() => proxy.close());
  return { proxy, dial: () => dial(Number(new URL(proxy.url).port)) };
}

/** A connection, and what came back on it. */
interface Line {
  readonly socket: Socket;
  readonly heard: () => string;
  readonly closed: () => boolean;
}

async function dial(port: number): Promise<Line> {
  const socket = connect({ port, host: "127.0.0.1" });
  let [heard, closed] = ["", false];
  socket.on("error", () => undefined);
  socket.on("close", () => (closed = true));
  socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return { socket, heard: () => heard, closed: () => closed };
}

describe("the proxy", () => {
  it("passes bytes both ways", async () => {
    const { dial } = await open();
    const line = await dial();
    line.socket.write("a");
    await expect.poll(line.heard).toBe("a");
  });

  it("makes the connections that stand half-open, and lets new ones pass", async () => {
    const { proxy, dial } = await open();
    const old = await dial();
    old.socket.write("a");
    await expect.poll(old.heard).toBe("a");
    proxy.swallow();
    old.socket.write("lost");
    const fresh = await dial();
    fresh.socket.write("b");
    await expect.poll(fresh.heard).toBe("b");
    expect([old.heard(), old.closed()]).toEqual(["a", false]);
  });

  it("resets every connection, half-open ones as well", async () => {
    const { proxy, dial } = await open();
    const [one, other] = [await dial(), await dial()];
    one.socket.write("a");
    await expect.poll(one.heard).toBe("a");
    proxy.swallow();
    proxy.cut();
    await expect.poll(() => [one.closed(), other.closed()]).toEqual([true, true]);
  });

  it("never changes the order of what it delays", async () => {
    const { proxy, dial } = await open();
    const line = await dial();
    let sent = "";
    for (let i = 0; i < 60; i += 1) {
      proxy.delay(i % 3 === 0 ? 20 : 0);
      const text = `${i},`;
      sent += text;
      line.socket.write(text);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await expect.poll(() => line.heard().length).toBe(sent.length);
    expect(line.heard()).toBe(sent);
  });
});
