import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent, cacheStores, interceptors, request, type Dispatcher } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { undiciStore, type UndiciStoreOptions } from "../../src/adapters/undici.js";
import { purge } from "../../src/http/index.js";
import { createCache, memory, type Cache, type CacheOptions } from "../../src/index.js";
import { FakeClock, SharedMemory } from "../../src/testing/index.js";

type Handler = (request: IncomingMessage, response: ServerResponse, number: number) => void;

/** An origin on a free port, gone with the test. */
async function origin(handler: Handler): Promise<{ readonly url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer((message, response) => handler(message, response, ++asked));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

function newCache(options: CacheOptions = {}): Cache {
  const cache = createCache({ tiers: [memory({ maxBytes: "64mb" })], ...options });
  onTestFinished(() => cache.close());
  return cache;
}

function clientOn(store: ReturnType<typeof undiciStore> | InstanceType<typeof cacheStores.MemoryCacheStore>) {
  const dispatcher = new Agent().compose(interceptors.cache({ store }));
  onTestFinished(() => dispatcher.close());
  const get = async (url: string, headers: Record<string, string> = {}, method: Dispatcher.HttpMethod = "GET") => {
    const response = await request(url, { dispatcher, headers, method });
    const text = await response.body.text();
    return { status: response.statusCode, text, headers: response.headers };
  };
  return { get, text: async (url: string, headers?: Record<string, string>) => (await get(url, headers)).text };
}

function world(options: UndiciStoreOptions = {}) {
  const cache = newCache();
  return { cache, ...clientOn(undiciStore(cache, options)) };
}

/** A store takes what it has been given a moment after the client has it. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
}

describe("undiciStore", () => {
  it("answers from the cache, with the response's head and body", async () => {
    const { url, asked } = await origin((_, response, number) => {
      response
        .writeHead(203, { "cache-control": "max-age=60", "x-many": ["a", "b"], etag: '"e"' })
        .end(`body ${number}`);
    });
    const { get } = world();
    const first = await get(`${url}/a?x=1`);
    await settled();
    const second = await get(`${url}/a?x=1`);
    expect([second.status, second.text, second.headers["x-many"]]).toEqual([203, "body 1", ["a", "b"]]);
    expect(second.headers["age"]).toMatch(/^\d$/);
    expect(first.text).toBe("body 1");
    expect(asked()).toBe(1);
    expect((await get(`${url}/a?x=2`)).text).toBe("body 2");
  });

  it("keeps binary bodies byte for byte, in many pieces", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7) % 256));
    const { url, asked } = await origin((_, response) => {
      response.setHeader("cache-control", "max-age=60");
      for (let at = 0; at < bytes.length; at += 10_000) response.write(bytes.subarray(at, at + 10_000));
      response.end();
    });
    const cache = newCache();
    const dispatcher = new Agent().compose(interceptors.cache({ store: undiciStore(cache) }));
    onTestFinished(() => dispatcher.close());
    for (let n = 0; n < 2; n++) {
      const response = await request(url, { dispatcher });
      expect(Buffer.compare(Buffer.from(await response.body.bytes()), bytes)).toBe(0);
      await settled();
    }
    expect(asked()).toBe(1);
  });

  it("keeps variants apart, each by exactly what its request said", async () => {
    const { url, asked } = await origin((message, response, number) => {
      const lang = String(message.headers["accept-language"]);
      response
        .setHeader("cache-control", "max-age=60")
        .setHeader("vary", "Accept-Language, X-A")
        .end(`${lang} ${number}`);
    });
    const { text } = world();
    const of = async (...lang: readonly string[]): Promise<string> => {
      const answer = await text(url, lang[0] === undefined ? {} : { "accept-language": lang[0] });
      await settled();
      return answer;
    };
    expect([await of("de"), await of("en"), await of(), await of("de"), await of("en"), await of()]).toEqual([
      "de 1",
      "en 2",
      "undefined 3",
      "de 1",
      "en 2",
      "undefined 3",
    ]);
    expect(await text(url, { "accept-language": "de", "x-a": "1" })).toBe("de 4");
    expect(asked()).toBe(4);
  });

  it("keeps variants when the response comes to vary on more", async () => {
    const { url } = await origin((_, response, number) => {
      response
        .setHeader("cache-control", "max-age=60")
        .setHeader("vary", number === 1 ? "a" : "a, b")
        .end(`body ${number}`);
    });
    const { text } = world();
    const of = async (a: string, b: string): Promise<string> => {
      const answer = await text(url, { a, b });
      await settled();
      return answer;
    };
    expect(await of("1", "1")).toBe("body 1");
    expect(await of("2", "1")).toBe("body 2");
    expect(await of("2", "2")).toBe("body 3");
    expect([await of("2", "1"), await of("2", "2")]).toEqual(["body 2", "body 3"]);
  });

  it("validates what is stale, and what has to be validated each time", async () => {
    const conditions: (string | undefined)[] = [];
    const { url } = await origin((message, response) => {
      conditions.push(message.headers["if-none-match"]);
      // A 304 with Cache-Control has undici forget what it validated.
      if (message.headers["if-none-match"] === '"e"') response.writeHead(304, { etag: '"e"' }).end();
      else response.writeHead(200, { "cache-control": "no-cache", etag: '"e"' }).end("body");
    });
    const { text } = world();
    for (let n = 0; n < 3; n++) {
      expect(await text(url)).toBe("body");
      await settled();
    }
    expect(conditions).toEqual([undefined, '"e"', '"e"']);
  });

  it("is purged by URL with all variants and methods, by prefix, and by the tags of its headers", async () => {
    const { url, asked } = await origin((_, response, number) => {
      const headers = { "cache-control": "max-age=60", vary: "a", "surrogate-key": `one k${number}` };
      response.writeHead(200, headers).end(`body ${number}`);
    });
    const { text, cache } = world();
    const targets = [{ url: `${url}/p/q` }, { prefix: `${url}/p` }, { tag: "one" }, { all: true as const }];
    for (const target of targets) {
      for (const a of ["1", "2"]) await text(`${url}/p/q`, { a });
      await settled();
      const before = asked();
      for (const a of ["1", "2"]) await text(`${url}/p/q`, { a });
      expect(asked()).toBe(before);
      await purge(cache, target);
      for (const a of ["1", "2"]) await text(`${url}/p/q`, { a });
      expect(asked()).toBe(before + 2);
      await settled();
    }
  });

  it("validates what was purged softly, and gives it while it does where the response allows it", async () => {
    const { url, asked } = await origin((message, response, number) => {
      const cacheControl = message.url === "/swr" ? "max-age=60, stale-while-revalidate=60" : "max-age=60";
      response.writeHead(200, { "cache-control": cacheControl, etag: '"e"' }).end(`body ${number}`);
    });
    const { text, cache } = world();
    expect(await text(`${url}/a`)).toBe("body 1");
    await settled();
    await purge(cache, { url: `${url}/a` }, { mode: "soft" });
    expect(await text(`${url}/a`)).toBe("body 2");
    expect(await text(`${url}/swr`)).toBe("body 3");
    await settled();
    await purge(cache, { url: `${url}/swr` }, { mode: "soft" });
    expect(await text(`${url}/swr`)).toBe("body 3");
    await expect.poll(asked).toBe(4);
    await expect.poll(() => text(`${url}/swr`)).toBe("body 4");
  });

  it("does not store what was purged while it was on its way", async () => {
    let finish: () => void = () => undefined;
    const { url, asked } = await origin((_, response, number) => {
      response.writeHead(200, { "cache-control": "max-age=60", "surrogate-key": "one" });
      response.write(`body ${number}`);
      if (number > 1) return void response.end();
      finish = () => response.end();
    });
    const { cache } = world();
    const dispatcher = new Agent().compose(interceptors.cache({ store: undiciStore(cache) }));
    onTestFinished(() => dispatcher.close());
    const response = await request(url, { dispatcher });
    await settled();
    await purge(cache, { tag: "one" });
    finish();
    expect(await response.body.text()).toBe("body 1");
    await settled();
    expect(await (await request(url, { dispatcher })).body.text()).toBe("body 2");
    await settled();
    expect(await (await request(url, { dispatcher })).body.text()).toBe("body 2");
    expect(asked()).toBe(2);
  });

  it("forgets a URL that an unsafe request has changed", async () => {
    const { url, asked } = await origin((_, response, number) => {
      response.setHeader("cache-control", "max-age=60").end(`body ${number}`);
    });
    const { text, get } = world();
    await text(url);
    await settled();
    await get(url, {}, "POST");
    expect(await text(url)).toBe("body 3");
    await settled();
    expect(await text(url)).toBe("body 3");
    expect(asked()).toBe(3);
  });

  it("stores nothing of a body that is cut short, or too long, and passes it on", async () => {
    const { url, asked } = await origin((message, response, number) => {
      response.setHeader("cache-control", "max-age=60");
      if (message.url === "/long") return void response.end("x".repeat(20_000));
      if (message.url === "/ok") return void response.end("y".repeat(9_000));
      response.writeHead(200, { "content-length": "100" });
      response.write(`body ${number}`);
      setTimeout(() => response.destroy(), 10);
    });
    const { text } = world({ maxBodyBytes: 10_000 });
    await expect(text(`${url}/cut`)).rejects.toMatchObject({ code: "UND_ERR_SOCKET" });
    await settled();
    await expect(text(`${url}/cut`)).rejects.toMatchObject({ code: "UND_ERR_SOCKET" });
    expect(asked()).toBe(2);
    for (let n = 0; n < 2; n++) {
      expect((await text(`${url}/long`)).length).toBe(20_000);
      await settled();
    }
    expect(asked()).toBe(4);
    for (let n = 0; n < 2; n++) {
      expect((await text(`${url}/ok`)).length).toBe(9_000);
      await settled();
    }
    expect(asked()).toBe(5);
  });

  it("holds no more than its bound of bodies on their way", async () => {
    const parts: (() => void)[] = [];
    const { url, asked } = await origin((_, response) => {
      response.setHeader("cache-control", "max-age=60");
      response.write("x".repeat(6_000));
      if (asked() > 2) return void response.end();
      parts.push(() => response.end());
    });
    const cache = newCache();
    const dispatcher = new Agent().compose(interceptors.cache({ store: undiciStore(cache, { maxFillBytes: 10_000 }) }));
    onTestFinished(() => dispatcher.close());
    const bodies = await Promise.all(
      ["/a", "/b"].map(async (path) => (await request(url + path, { dispatcher })).body),
    );
    const reading = Promise.all(bodies.map((body) => body.text()));
    await expect.poll(() => parts.length).toBe(2);
    for (const end of parts) end();
    expect((await reading).map((text) => text.length)).toEqual([6_000, 6_000]);
    await settled();
    for (const path of ["/a", "/b"]) await (await request(url + path, { dispatcher })).body.text();
    // One of the two had no room.
    expect(asked()).toBe(3);
  });

  it("is one store for all processes on a shared tier", async () => {
    const room = new SharedMemory({ clock: new FakeClock({ now: 0, wall: Date.now() }) });
    const { url, asked } = await origin((_, response, number) => {
      response
        .writeHead(200, { "cache-control": "max-age=60", "surrogate-key": "one", vary: "a" })
        .end(`body ${number}`);
    });
    const [one, two] = [1, 2].map(() => {
      const cache = newCache({ tiers: [memory(), room.factory()] });
      return { cache, ...clientOn(undiciStore(cache)) };
    });
    expect(await one?.text(url)).toBe("body 1");
    await expect.poll(async () => (await two?.text(url)) === "body 1").toBe(true);
    expect(asked()).toBe(1);
    await purge(two?.cache as Cache, { tag: "one" });
    expect(await one?.text(url)).toBe("body 2");
  });

  it("does what undici's own store does, whatever is asked", async () => {
    const handler: Handler = (message, response) => {
      const { pathname, searchParams } = new URL(message.url ?? "/", "http://a");
      const headers: Record<string, string> = { etag: `"${pathname}"` };
      for (const [name, value] of searchParams) headers[name] = value;
      if (message.headers["if-none-match"] === headers["etag"]) return void response.writeHead(304, headers).end();
      const said = ["accept-language", "cookie"].map((name) => message.headers[name] ?? "-").join();
      response.writeHead(200, headers).end(`${pathname} ${said}`);
    };
    const controls = [
      "max-age=60",
      "no-store",
      "no-cache",
      "private, max-age=9",
      "max-age=60, must-revalidate",
      "s-maxage=9",
    ];
    const varies = ["", "accept-language", "accept-language, cookie", "*"];
    const steps = controls.flatMap((control, c) =>
      varies.flatMap((vary, v) =>
        ["de", "en", "de", undefined, "de"].map((lang, n) => {
          const query = new URLSearchParams({ "cache-control": control, ...(vary === "" ? {} : { vary }) }).toString();
          const headers: Record<string, string> = {};
          if (lang !== undefined) headers["accept-language"] = lang;
          if (n === 2) headers["cookie"] = "a=1";
          if (n === 4) headers["cache-control"] = "no-cache";
          return { path: `/${c}${v}?${query}`, headers };
        }),
      ),
    );
    const run = async (store: Parameters<typeof clientOn>[0]): Promise<string[]> => {
      const { url, asked } = await origin(handler);
      const { text } = clientOn(store);
      const seen: string[] = [];
      for (const { path, headers } of steps) {
        const body = await text(url + path, headers);
        await settled();
        seen.push(`${path} ${JSON.stringify(headers)}: ${body}, ${asked()} asked`);
      }
      return seen;
    };
    expect(await run(undiciStore(newCache()))).toEqual(await run(new cacheStores.MemoryCacheStore()));
  });

  it("refuses options that are none", () => {
    const cache = newCache();
    expect(() => undiciStore(cache, { maxFills: 0 })).toThrow(
      "Expected `maxFills` to be an integer of 1 or more, got `0`",
    );
    expect(() => undiciStore(cache, { maxBody: 1 } as UndiciStoreOptions)).toThrow("undici option");
  });
});
