import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A TCP proxy on a loopback port that can lose what passes through it. */
export interface Proxy {
  readonly url: string;
  /** Connections that stand now become half-open: both ends keep them, and nothing passes any more. New ones pass. */
  swallow(): void;
  /** Every chunk is late by so many milliseconds. */
  delay(ms: number): void;
  /** Every connection is reset. */
  cut(): void;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  swallowed: boolean;
}

/** Passes to `port` on loopback until told otherwise. */
export async function openProxy(port: number): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let late = 0;

  const proxy: Server = createServer((client) => {
    const server = connect({ port, host: "127.0.0.1" });
    const pair: Pair = { client, server, swallowed: false };
    pairs.add(pair);
    pass(pair, client, server, () => late);
    pass(pair, server, client, () => late);
    const end = (): void => {
      // The end of a half-open connection is not told either.
      if (pair.swallowed) return;
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", end);
      socket.on("close", end);
    }
  });
  await new Promise<void>((resolve, reject) => {
    proxy.once("error", reject);
    proxy.listen(0, "127.0.0.1", resolve);
  });
  const cut = (): void => {
    for (const { client, server } of pairs) {
      // A connection that is being closed cannot be reset any more, and trying would leave it open for ever.
      if (client.readyState === "open") client.resetAndDestroy();
      else client.destroy();
      server.destroy();
    }
    pairs.clear();
  };
  return {
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    swallow() {
      for (const pair of pairs) pair.swallowed = true;
    },
    delay(ms) {
      late = ms;
    },
    cut,
    async close() {
      cut();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

function pass(pair: Pair, from: Socket, to: Socket, late: () => number): void {
  const waiting: { readonly chunk: Buffer; readonly at: number }[] = [];
  const forward = (chunk: Buffer): void => {
    if (!pair.swallowed && !to.destroyed) to.write(chunk);
  };
  // One after the other: a connection loses or delays bytes, but never changes their order.
  const forwardDue = (): void => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const left = next.at - performance.now();
      if (left > 0) {
        setTimeout(forwardDue, Math.ceil(left));
        return;
      }
      waiting.shift();
      forward(next.chunk);
    }
  };
  from.on("data", (chunk: Buffer) => {
    if (pair.swallowed) return;
    const ms = late();
    if (ms === 0 && waiting.length === 0) return forward(chunk);
    waiting.push({ chunk, at: performance.now() + ms });
    if (waiting.length === 1) setTimeout(forwardDue, ms);
  });
}
