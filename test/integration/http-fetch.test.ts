import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSocketServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { cachedFetch, purge, type CachedFetchOptions } from "../../src/http/index.js";
import { createCache, memory } from "../../src/index.js";

type Handler = (request: IncomingMessage, response: ServerResponse, number: number) => void;

/** An origin on a free port of this machine, gone with the test. */
async function origin(handler: Handler): Promise<{ readonly url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => handler(request, response, ++asked));
  const url = await listening(server);
  onTestFinished(() => server.closeAllConnections());
  return { url, asked: () => asked };
}

/** An origin that speaks bytes, whatever HTTP says of them. */
async function rawOrigin(answer: (socket: Socket, number: number) => void): Promise<string> {
  let asked = 0;
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => answer(socket, ++asked));
  });
  const url = await listening(server);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return url;
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function client(options: CachedFetchOptions = {}) {
  const cache = createCache({ tiers: [memory({ maxBytes: "64mb" })] });
  onTestFinished(() => cache.close());
  return { cache, http: cachedFetch(cache, options) };
}

/** Looks until it holds, for ten seconds at most. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await sleep(20);
  }
  throw new Error("It did not come to hold");
}

describe("cachedFetch over sockets", () => {
  it("stores, validates and purges", async () => {
    const { url, asked } = await origin((request, response, number) => {
      response.setHeader("cache-control", request.url === "/n" ? "no-cache" : "max-age=60");
      response.setHeader("etag", '"a"');
      response.setHeader("surrogate-key", "one two");
      if (request.headers["if-none-match"] === '"a"') response.statusCode = 304;
      response.end(response.statusCode === 304 ? undefined : `body ${number}`);
    });
    const { http, cache } = client();
    const text = async (path: string): Promise<string> => (await http(url + path)).text();
    expect([await text("/a"), await text("/a"), await text("/n"), await text("/n")]).toEqual([
      "body 1",
      "body 1",
      "body 2",
      "body 2",
    ]);
    expect(asked()).toBe(3);
    await purge(cache, { tag: "two" });
    expect(await text("/a")).toBe("body 4");
  });

  it("validates without asking the caches on its way to go to the origin", async () => {
    const said: (string | undefined)[] = [];
    const { url } = await origin((request, response) => {
      said.push(request.headers["cache-control"], request.headers["pragma"], request.headers["if-none-match"]);
      response.setHeader("cache-control", "no-cache").setHeader("etag", '"a"').end("body");
    });
    const { http } = client();
    for (let n = 0; n < 2; n++) await (await http(url)).text();
    expect(said).toEqual([undefined, undefined, undefined, undefined, undefined, '"a"']);
  });

  it("keeps each variant, though they are asked for right after one another", async () => {
    const { url, asked } = await origin((request, response, number) => {
      response
        .setHeader("cache-control", "max-age=60")
        .setHeader("vary", "a")
        .end(`${String(request.headers["a"])} ${number}`);
    });
    const { http } = client();
    const of = async (a: string): Promise<string> => (await http(url, { headers: { a } })).text();
    expect([await of("1"), await of("2"), await of("1"), await of("2")]).toEqual(["1 1", "2 2", "1 1", "2 2"]);
    expect(asked()).toBe(2);
  });

  it("decodes a compressed body once, and keeps it", async () => {
    const { gzipSync } = await import("node:zlib");
    const { url, asked } = await origin((_request, response) => {
      const bytes = gzipSync("hello ".repeat(100));
      response.writeHead(200, {
        "cache-control": "max-age=60",
        "content-encoding": "gzip",
        "content-length": bytes.length,
        vary: "accept-encoding",
      });
      response.end(bytes);
    });
    const { http } = client();
    for (let n = 0; n < 3; n++) expect(await (await http(url)).text()).toBe("hello ".repeat(100));
    // Of decoded bytes no range of the encoded ones can be given.
    expect((await http(url, { headers: { range: "bytes=0-3" } })).status).toBe(200);
    expect(asked()).toBe(1);
  });

  it("asks once for 100 who come while the origin is slow", async () => {
    let answer: (() => void) | undefined;
    const { url, asked } = await origin((_request, response) => {
      answer = () => response.setHeader("cache-control", "max-age=60").end("body");
    });
    const { http } = client();
    const all = Array.from({ length: 100 }, async () => (await http(url)).text());
    await until(() => answer !== undefined);
    answer?.();
    expect(new Set(await Promise.all(all))).toEqual(new Set(["body"]));
    expect(asked()).toBe(1);
  });

  it("stores nothing of a body that is cut short", async () => {
    const url = await rawOrigin((socket, number) => {
      const head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
      if (number === 1) socket.end(`${head}Content-Length: 100\r\n\r\nhalf`);
      else if (number === 2) socket.end(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`);
      else socket.end(`${head}Content-Length: 4\r\nConnection: close\r\n\r\nfull`);
    });
    const { http } = client();
    for (let n = 0; n < 2; n++) await expect(http(url).then((response) => response.text())).rejects.toThrow(TypeError);
    expect(await (await http(url)).text()).toBe("full");
    expect(await (await http(url)).text()).toBe("full");
  });

  it("stores no bytes past the length that was said", async () => {
    const url = await rawOrigin((socket) => {
      socket.end(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull and more",
      );
    });
    const { http } = client();
    for (let n = 0; n < 2; n++) {
      const body = await http(url).then(
        (response) => response.text(),
        () => "refused",
      );
      expect(["full", "refused"]).toContain(body);
    }
  });

  it.each([
    "Cache-Control: max-age=\xff, =, ;;\r\nExpires: soon\r\nAge: old",
    'Cache-Control: max-age=60, private="\r\nVary: \r\nETag: x',
    "Cache-Control: max-age=60, no-store=\r\nDate: never\r\nLast-Modified: 0",
    "Vary: *\r\nCache-Control: public, max-age=60",
    "Expires: 0\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
  ])("takes garbage for what is not to be stored: %j", async (fields) => {
    const url = await rawOrigin((socket, number) => {
      const head = `HTTP/1.1 200 OK\r\n${fields}\r\nContent-Length: 1\r\nConnection: close\r\n\r\n${number}`;
      socket.end(Buffer.from(head, "latin1"));
    });
    const { http } = client({ shared: true });
    expect([await (await http(url)).text(), await (await http(url)).text()]).toEqual(["1", "2"]);
  });

  it("fails for headers without end, and the next request is none the worse", async () => {
    const url = await rawOrigin((socket, number) => {
      if (number === 1) socket.end(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(1_000_000)}\r\n\r\n`);
      else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    const { http } = client();
    await expect(http(url)).rejects.toThrow("fetch failed");
    expect(await (await http(url)).text()).toBe("ok");
  });

  it("passes 100 MB on without keeping them, to two readers as well", async () => {
    const chunk = Buffer.alloc(1_000_000, 1);
    const { url } = await origin((_request, response) => {
      response.setHeader("cache-control", "max-age=60");
      let left = 100;
      const write = (): void => {
        while (left > 0) {
          left -= 1;
          if (!response.write(chunk)) return void response.once("drain", write);
        }
        response.end();
      };
      write();
    });
    const { http } = client({ maxBodyBytes: "1mb" });
    const before = process.memoryUsage();
    let most = 0;
    const read = async (): Promise<number> => {
      let size = 0;
      for await (const part of (await http(url)).body ?? []) {
        size += (part as Uint8Array).length;
        most = Math.max(most, process.memoryUsage().external - before.external);
      }
      return size;
    };
    expect(await Promise.all([read(), read()])).toEqual([100_000_000, 100_000_000]);
    expect(most).toBeLessThan(64_000_000);
  });

  it("does not let a client that stops reading hold up others, nor the origin run away", async () => {
    const chunk = Buffer.alloc(100_000, 1);
    let sent = 0;
    let closed = false;
    const { url } = await origin((request, response) => {
      response.setHeader("cache-control", "max-age=60");
      if (request.url === "/small") return void response.end("small");
      response.on("close", () => {
        closed = true;
      });
      const write = (): void => {
        while (!response.destroyed && sent < 1_000_000_000) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", write);
        }
      };
      write();
    });
    const { http } = client({ maxBodyBytes: "1mb" });
    const stuck = await http(`${url}/large`);
    const reader = stuck.body?.getReader();
    await reader?.read();
    expect(await (await http(`${url}/small`)).text()).toBe("small");
    // What the origin could send is what the buffers between take: the sockets' own and ours.
    let last = -1;
    await until(async () => {
      const same = last === sent;
      last = sent;
      await sleep(100);
      return same && last === sent;
    });
    expect(sent).toBeLessThan(50_000_000);
    await reader?.cancel();
    await until(() => closed);
  });

  it("waits for an origin that hangs no longer than its caller does", async () => {
    let closed = 0;
    const { url, asked } = await origin((_request, response) => {
      response.on("close", () => {
        closed += 1;
      });
    });
    const { http } = client();
    const controller = new AbortController();
    const waiting = http(url, { signal: controller.signal });
    await until(() => asked() === 1);
    controller.abort();
    await expect(waiting).rejects.toBe(controller.signal.reason);
    // Nobody waits any more: the origin is let go.
    await until(() => closed === 1);
  });

  it("gives up an origin that hangs after the load's timeout", async () => {
    const { url } = await origin(() => undefined);
    const { http } = client({ loadTimeout: 200 });
    await expect(http(url)).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  });

  it("serves stale when the origin is gone", async () => {
    const server = createServer((_request, response) => {
      response.setHeader("cache-control", "max-age=0").setHeader("etag", '"a"').end("body");
    });
    const url = await listening(server);
    const { http } = client();
    expect(await (await http(url)).text()).toBe("body");
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const stale = await http(url);
    expect(await stale.text()).toBe("body");
    await expect(http(`${url}/other`)).rejects.toThrow(TypeError);
  });

  it("sends what a request holds, and forgets what it changed", async () => {
    const { url, asked } = await origin((request, response, number) => {
      if (request.method !== "POST")
        return void response.setHeader("cache-control", "max-age=60").end(`body ${number}`);
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      request.on("end", () => response.end(`${request.headers["content-length"]} ${body}`));
    });
    const { http } = client();
    expect(await (await http(url)).text()).toBe("body 1");
    expect(await (await http(url, { method: "POST", body: "hello" })).text()).toBe("5 hello");
    const form = new FormData();
    form.set("a", "1");
    expect(await (await http(url, { method: "POST", body: form })).text()).toContain('name="a"');
    expect(await (await http(new Request(url, { method: "POST", body: "again" }))).text()).toBe("5 again");
    expect(await (await http(url)).text()).toBe("body 5");
    expect(asked()).toBe(5);
  });
});
