import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import { ask, GatewayWorld, until } from "../support/gateway-world.js";

const world = new GatewayWorld();
afterEach(() => world.end());

describe("an origin that misbehaves", () => {
  const fresh = "cache-control: max-age=60\r\n";
  const cases: readonly (readonly [
    what: string,
    said: string | undefined,
    ends: boolean,
    status: number,
    error: string,
  ])[] = [
    ["says nothing", undefined, false, 504, "http_response_timeout"],
    ["hangs up", "", true, 502, "connection_terminated"],
    ["stops within its head", `HTTP/1.1 200 OK\r\n${fresh}content-le`, true, 502, "connection_terminated"],
    ["says what is no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", false, 502, "http_protocol_error"],
    ["has no status", `HTTP/1.1 OK\r\n${fresh}\r\n`, false, 502, "http_protocol_error"],
    [
      "says too many fields",
      `HTTP/1.1 200 OK\r\n${fresh}x: ${"y".repeat(70_000)}\r\n\r\n`,
      false,
      502,
      "http_response_header_section_size",
    ],
    [
      "puts control characters into a field",
      `HTTP/1.1 200 OK\r\n${fresh}x: a\u007fb\r\ncontent-length: 0\r\n\r\n`,
      false,
      502,
      "http_protocol_error",
    ],
    [
      "says two lengths",
      `HTTP/1.1 200 OK\r\n${fresh}content-length: 1\r\ncontent-length: 2\r\n\r\nab`,
      false,
      502,
      "http_protocol_error",
    ],
    [
      "changes the protocol unasked",
      "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
      false,
      502,
      "connection_terminated",
    ],
  ];
  it.each(cases)("%s", async (_what, said, ends, status, error) => {
    let asked = 0;
    const { url } = await world.rawOrigin((socket) => {
      asked += 1;
      if (said !== undefined) socket.write(said, "latin1");
      if (ends) socket.end();
    });
    const { port } = await world.gateway({ origins: { default: { urls: [url], headersTimeout: 500 } } });
    for (const times of [1, 2]) {
      const got = await ask(port, "/a");
      expect([got.status, got.headers["proxy-status"]]).toEqual([status, `tiercache;error=${error}`]);
      expect(got.headers["cache-status"]).toBe(`tiercache;detail=${error}`);
      // Nothing of it was kept.
      expect(asked).toBe(times);
    }
  });

  it.each([
    ["cuts a body short", `HTTP/1.1 200 OK\r\n${fresh}content-length: 100\r\n\r\nabc`, "abc"],
    ["cuts chunks short", `HTTP/1.1 200 OK\r\n${fresh}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde`, "abcde"],
    [
      "says a chunk that is none",
      `HTTP/1.1 200 OK\r\n${fresh}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`,
      "abc",
    ],
  ])("%s: its client is not made to believe that it was whole, and nothing is kept", async (_what, said, text) => {
    let asked = 0;
    const { url } = await world.rawOrigin((socket) => {
      asked += 1;
      socket.end(said, "latin1");
    });
    const { port } = await world.gateway({ origin: url });
    for (const times of [1, 2]) {
      const got = await ask(port, "/a");
      expect([got.status, got.whole]).toEqual([200, false]);
      expect(text.startsWith(got.text)).toBe(true);
      expect(asked).toBe(times);
    }
  });

  it("says more than its length: what follows is nobody's answer", async () => {
    const { url } = await world.rawOrigin((socket) => {
      socket.write(
        `HTTP/1.1 200 OK\r\n${fresh}content-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`,
        "latin1",
      );
    });
    const { port } = await world.gateway({ origins: { default: { urls: [url], connections: 1 } } });
    for (const path of ["/a", "/b", "/a"]) expect((await ask(port, path)).text).toBe("abc");
  });

  it("falls silent within a body: its client hears in time", async () => {
    const { url } = await world.rawOrigin((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${fresh}content-length: 100\r\n\r\nabc`);
    });
    const { port } = await world.gateway({ origins: { default: { urls: [url], bodyTimeout: 500 } } });
    const got = await ask(port, "/a");
    expect([got.status, got.text, got.whole]).toEqual([200, "abc", false]);
  });

  it("sends far more than is kept: it passes, bounded, and is not stored", async () => {
    const size = 100 * 1_048_576;
    let asked = 0;
    const { url } = await world.origin((_incoming, outgoing) => {
      asked += 1;
      outgoing.writeHead(200, { "cache-control": "max-age=60" });
      const chunk = Buffer.alloc(1_048_576, "x");
      let left = size;
      const pump = (): void => {
        while (left > 0) {
          left -= chunk.length;
          if (!outgoing.write(chunk)) return void outgoing.once("drain", pump);
        }
        outgoing.end();
      };
      pump();
    });
    const { port } = await world.gateway({ origin: url });
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const response = await fetch(`http://127.0.0.1:${port}/big`);
    let got = 0;
    for await (const chunk of response.body ?? []) {
      got += chunk.length;
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    expect(got).toBe(size);
    expect(most - before).toBeLessThan(64 * 1_048_576);
    await fetch(`http://127.0.0.1:${port}/big`).then((second) => second.body?.cancel());
    expect(asked).toBe(2);
  });

  it("is not there: what is stale is served, unless it must not be", async () => {
    const { url, server } = await world.origin((incoming, outgoing) => {
      const cacheControl = incoming.url === "/strict" ? "max-age=0, must-revalidate" : "max-age=0";
      outgoing.writeHead(200, { "cache-control": cacheControl, etag: '"1"' }).end("kept");
    });
    const { port } = await world.gateway({ origin: url });
    for (const path of ["/loose", "/strict"]) await ask(port, path);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect([(await ask(port, "/loose")).text, (await ask(port, "/strict")).status]).toEqual(["kept", 502]);
  });
});

/** A port that nobody listens on. */
async function deadUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

describe("several servers of an origin", () => {
  const noStore = { "cache-control": "no-store" };
  const server = async (name: string, status: () => number = () => 200): Promise<{ url: string; asked: string[] }> => {
    const asked: string[] = [];
    const { url } = await world.origin((incoming, outgoing) => {
      asked.push(`${incoming.method} ${incoming.url}`);
      outgoing.writeHead(status(), noStore).end(name);
    });
    return { url, asked };
  };

  it("take turns", async () => {
    const [one, two] = [await server("one"), await server("two")];
    const { port } = await world.gateway({ origins: { default: { urls: [one.url, two.url] } } });
    for (let times = 0; times < 10; times++) await ask(port, "/");
    expect([one.asked.length, two.asked.length]).toEqual([5, 5]);
  });

  it("stand in for one that is not there, and are asked no more than the budget allows", async () => {
    const two = await server("two");
    const { port, gateway } = await world.gateway({ origins: { default: { urls: [await deadUrl(), two.url] } } });
    for (let times = 0; times < 30; times++) expect((await ask(port, "/")).text).toBe("two");
    // After five failures the dead one is left alone.
    expect(gateway.stats().origins["default"]?.retries).toBe(5);
    expect(gateway.stats().origins["default"]?.servers.map(({ isWell }) => isWell)).toEqual([false, true]);
  });

  it("are not asked again for what may have been done: a POST that was answered, or cut off", async () => {
    const two = await server("two", () => 503);
    const cut = await world.rawOrigin((socket) => socket.destroy());
    const { port } = await world.gateway({ origins: { default: { urls: [cut.url, two.url] } } });
    const statuses: number[] = [];
    for (let times = 0; times < 4; times++) statuses.push((await ask(port, "/", { method: "POST" })).status);
    expect(statuses.sort((one, other) => one - other)).toEqual([502, 502, 503, 503]);
    expect(two.asked).toHaveLength(2);
  });

  it("give a read that one has failed to another", async () => {
    const [one, two] = [await server("one", () => 503), await server("two")];
    const { port } = await world.gateway({ origins: { default: { urls: [one.url, two.url] } } });
    for (let times = 0; times < 6; times++) expect((await ask(port, "/")).text).toBe("two");
  });

  it("are not flooded with repetitions when all of them fail", async () => {
    const [one, two] = [await server("one", () => 503), await server("two", () => 503)];
    const { port } = await world.gateway({
      origins: { default: { urls: [one.url, two.url], retries: { budget: 0.1 }, health: { failures: 1_000 } } },
    });
    for (let times = 0; times < 100; times++) expect((await ask(port, "/")).status).toBe(503);
    // Ten at once, and one in ten of 100.
    expect(one.asked.length + two.asked.length).toBeLessThanOrEqual(100 + 10 + 10);
    expect(one.asked.length + two.asked.length).toBeGreaterThan(110);
  });

  it("are left out when their health's path says so, and come back", async () => {
    let status = 500;
    const sick = await server("sick", () => status);
    const well = await server("well");
    const { port, gateway } = await world.gateway({
      origins: {
        default: {
          urls: [sick.url, well.url],
          health: { path: "/health", interval: 100, failures: 2, cooldown: "1h" },
        },
      },
    });
    const isWell = (): boolean | undefined => gateway.stats().origins["default"]?.servers[0]?.isWell;
    await until("it to be left out", () => isWell() === false);
    for (let times = 0; times < 4; times++) expect((await ask(port, "/")).text).toBe("well");
    expect(gateway.isReady()).toBe(true);
    status = 200;
    await until("it to come back", () => isWell() === true);
    const texts = new Set<string>();
    for (let times = 0; times < 4; times++) texts.add((await ask(port, "/")).text);
    expect([...texts].sort()).toEqual(["sick", "well"]);
  });

  it("get what they have the least of to do, where that is said", async () => {
    const held: (() => void)[] = [];
    const slow = await world.origin(
      (_incoming, outgoing) => void held.push(() => outgoing.writeHead(200, noStore).end("slow")),
    );
    const quick = await server("quick");
    const { port } = await world.gateway({
      origins: { default: { urls: [slow.url, quick.url], balance: "least-pending" } },
    });
    const first = ask(port, "/first");
    await until("the first to be there", () => held.length === 1);
    for (let times = 0; times < 5; times++) expect((await ask(port, `/${times}`)).text).toBe("quick");
    for (const release of held) release();
    expect((await first).text).toBe("slow");
  });
});
