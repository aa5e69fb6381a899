import { describe, expect, it, onTestFinished } from "vitest";
import { createCache } from "../cache.js";
import { FakeClock } from "../testing/fake-clock.js";
import { deferred } from "./deferred.js";
import { cachedFetch, type CachedFetch, type CachedFetchOptions } from "./fetch.js";
import { formatHttpDate } from "./dates.js";
import { purge } from "./purge.js";

const URL_A = "http://a.example/x";

interface Asked {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
}
type Answers = (asked: Asked, number: number) => Response | Promise<Response>;

/** A cache of HTTP in front of an origin that answers as it is told, on a clock that stands still. */
function world(answers: Answers, options: CachedFetchOptions = {}) {
  const clock = new FakeClock();
  const cache = createCache({ clock });
  onTestFinished(() => cache.close());
  const asked: Asked[] = [];
  const origin = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    init?.signal?.throwIfAborted();
    const request = new Request(input, init);
    const one = { url: request.url, method: request.method, headers: request.headers };
    asked.push(one);
    const answer = await answers(one, asked.length);
    if (!answer.headers.has("date")) answer.headers.set("date", formatHttpDate(clock.wall()));
    return answer;
  };
  const http = cachedFetch(cache, { clock, ...options, fetch: origin });
  const text = async (url: string = URL_A, init?: Parameters<CachedFetch>[1]): Promise<string> =>
    (await http(url, init)).text();
  return { clock, cache, asked, http, text };
}

function plain(cacheControl: string, more: Record<string, string> = {}): Answers {
  return (_asked, number) => new Response(`body ${number}`, { headers: { "cache-control": cacheControl, ...more } });
}

function status(response: Response): string | null {
  return response.headers.get("cache-status");
}

/** Lets what has been begun come to rest. */
async function rest(clock: FakeClock): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await clock.advance(0);
}

describe("cachedFetch", () => {
  it("answers from the store until the response is stale, with its age", async () => {
    const { http, text, clock, asked } = world(plain("max-age=60"));
    expect(await text()).toBe("body 1");
    await clock.advance(59_000);
    const hit = await http(URL_A);
    expect([await hit.text(), hit.headers.get("age"), status(hit)]).toEqual(["body 1", "59", "tiercache;hit;ttl=1"]);
    await clock.advance(1_000);
    expect(await text()).toBe("body 2");
    expect(asked).toHaveLength(2);
  });

  it("gives a standard response: url, type, clone, json", async () => {
    const { http } = world(() => Response.json({ a: 1 }, { headers: { "cache-control": "max-age=60" } }));
    await (await http(URL_A)).text();
    const response = await http(`${URL_A}#part`);
    expect([response.url, response.redirected, response.ok, response.clone().url]).toEqual([URL_A, false, true, URL_A]);
    expect(await response.clone().json()).toEqual({ a: 1 });
    expect(await response.json()).toEqual({ a: 1 });
  });

  it("validates what is stale, and takes a 304 over into what is stored", async () => {
    const { http, text, clock, asked } = world(({ headers }, number) =>
      headers.has("if-none-match")
        ? new Response(null, { status: 304, headers: { "cache-control": "max-age=100", "x-new": String(number) } })
        : new Response("body", { headers: { "cache-control": "max-age=1", etag: '"a"' } }),
    );
    expect(await text()).toBe("body");
    await clock.advance(1_000);
    const validated = await http(URL_A);
    expect([validated.status, await validated.text(), validated.headers.get("x-new")]).toEqual([200, "body", "2"]);
    expect(asked[1]?.headers.get("if-none-match")).toBe('"a"');
    await clock.advance(99_000);
    expect(status(await http(URL_A))).toBe("tiercache;hit;ttl=1");
  });

  it("asks again in full when a 304 is about something else", async () => {
    const { text, clock, asked } = world(({ headers }, number) =>
      headers.has("if-none-match")
        ? new Response(null, { status: 304, headers: { etag: '"b"' } })
        : new Response(`body ${number}`, { headers: { "cache-control": "max-age=1", etag: '"a"' } }),
    );
    await text();
    await clock.advance(1_000);
    expect(await text()).toBe("body 3");
    expect(asked[2]?.headers.has("if-none-match")).toBe(false);
  });

  it("answers a client's own conditions from the store", async () => {
    const { http, text, asked } = world(plain("max-age=60", { etag: '"a"', "x-other": "1" }));
    await text();
    const response = await http(URL_A, { headers: { "if-none-match": 'W/"a"' } });
    expect([response.status, response.headers.get("etag"), response.headers.has("x-other")]).toEqual([
      304,
      '"a"',
      false,
    ]);
    expect(await text(URL_A, { headers: { "if-none-match": '"b"' } })).toBe("body 1");
    expect(asked).toHaveLength(1);
  });

  it("leaves If-Match to the origin", async () => {
    const { text, asked } = world(plain("max-age=60"));
    await text();
    expect(await text(URL_A, { headers: { "if-match": '"a"' } })).toBe("body 2");
    expect(asked[1]?.headers.get("if-match")).toBe('"a"');
  });

  it("answers HEAD and ranges from the whole response", async () => {
    const { http, text, asked } = world(plain("max-age=60"));
    await text();
    const head = await http(URL_A, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const part = await http(URL_A, { headers: { range: "bytes=0-3" } });
    expect([part.status, await part.text(), part.headers.get("content-range")]).toEqual([206, "body", "bytes 0-3/6"]);
    const none = await http(URL_A, { headers: { range: "bytes=6-" } });
    expect([none.status, none.headers.get("content-range")]).toEqual([416, "bytes */6"]);
    const several = await http(URL_A, { headers: { range: "bytes=0-1,3-4" } });
    const boundary = several.headers.get("content-type")?.split("boundary=")[1];
    const part1 = `Content-Type: text/plain;charset=UTF-8\r\nContent-Range: bytes 0-1/6\r\n\r\nbo`;
    const part2 = `Content-Type: text/plain;charset=UTF-8\r\nContent-Range: bytes 3-4/6\r\n\r\ny `;
    const expected = `\r\n--${boundary}\r\n${part1}\r\n--${boundary}\r\n${part2}\r\n--${boundary}--\r\n`;
    expect([several.status, await several.text()]).toEqual([206, expected]);
    expect(await text(URL_A, { headers: { range: "bytes=0-1", "if-range": '"no"' } })).toBe("body 1");
    expect(asked).toHaveLength(1);
  });

  it("does not store a part as if it were all", async () => {
    const { text, asked } = world(({ headers }) =>
      headers.has("range")
        ? new Response("bo", {
            status: 206,
            headers: { "cache-control": "max-age=60", "content-range": "bytes 0-1/4" },
          })
        : new Response("body", { headers: { "cache-control": "max-age=60" } }),
    );
    expect(await text(URL_A, { headers: { range: "bytes=0-1" } })).toBe("bo");
    expect(await text()).toBe("body");
    expect(asked).toHaveLength(2);
  });

  it("keeps the variants of a URL apart, and finds each again", async () => {
    const { text, asked } = world(({ headers }, number) => {
      const fields = { "cache-control": "max-age=60", vary: "Accept-Language" };
      return new Response(`${headers.get("accept-language")} ${number}`, { headers: fields });
    });
    const of = (language: string): Promise<string> => text(URL_A, { headers: { "accept-language": language } });
    expect([await of("de"), await of("en"), await of("de"), await of("DE "), await of("en")]).toEqual([
      "de 1",
      "en 2",
      "de 1",
      "de 1",
      "en 2",
    ]);
    expect(asked).toHaveLength(2);
  });

  it("begins anew when a response varies on more than was known", async () => {
    const { text } = world(({ headers }, number) => {
      const vary = number === 1 ? "a" : "a, b";
      return new Response(`${headers.get("b")} ${number}`, { headers: { "cache-control": "max-age=60", vary } });
    });
    expect(await text(URL_A, { headers: { a: "1", b: "1" } })).toBe("1 1");
    expect(await text(URL_A, { headers: { a: "2", b: "1" } })).toBe("1 2");
    expect(await text(URL_A, { headers: { a: "2", b: "2" } })).toBe("2 3");
    expect(await text(URL_A, { headers: { a: "2", b: "2" } })).toBe("2 3");
    expect(await text(URL_A, { headers: { a: "2", b: "1" } })).toBe("1 4");
  });

  it("never answers one user of a private cache with another's response", async () => {
    for (const name of ["authorization", "cookie"]) {
      const { text } = world(
        ({ headers }, number) =>
          new Response(`${headers.get(name)} ${number}`, { headers: { "cache-control": "private, max-age=60" } }),
      );
      const as = (user: string): Promise<string> => text(URL_A, { headers: { [name]: user } });
      expect([await as("anna"), await as("bert"), await as("bert"), await text()]).toEqual([
        "anna 1",
        "bert 2",
        "bert 2",
        "null 3",
      ]);
      expect(await as("anna")).toMatch(/^anna/);
    }
  });

  it("shares nothing private in a shared cache, at once or later", async () => {
    for (const headers of [
      { "cache-control": "private, max-age=60" },
      { "cache-control": "max-age=60", "set-cookie": "a=b" },
      { "cache-control": "no-store, max-age=60" },
    ]) {
      const gate = deferred<undefined>();
      const { text, asked, clock } = world(
        async (_asked, number) => {
          if (number === 1) await gate.promise;
          return new Response(`body ${number}`, { headers });
        },
        { shared: true },
      );
      const all = Array.from({ length: 20 }, () => text());
      await rest(clock);
      expect(asked).toHaveLength(1);
      gate.resolve(undefined);
      expect(new Set(await Promise.all(all)).size).toBe(20);
      expect(new Set(await Promise.all(Array.from({ length: 5 }, () => text()))).size).toBe(5);
    }
  });

  it("shares what was asked for with Authorization only where the response allows it", async () => {
    const asked = { headers: { authorization: "x" } };
    const kept = world(plain("max-age=60"), { shared: true });
    expect([await kept.text(URL_A, asked), await kept.text(URL_A, asked)]).toEqual(["body 1", "body 2"]);
    const open = world(plain("max-age=60, public"), { shared: true });
    expect([await open.text(URL_A, asked), await open.text()]).toEqual(["body 1", "body 1"]);
  });

  it("asks once for all who ask at the same time", async () => {
    const gate = deferred<undefined>();
    const { text, asked, clock } = world(async () => {
      await gate.promise;
      return new Response("body", { headers: { "cache-control": "max-age=60" } });
    });
    const all = Array.from({ length: 200 }, () => text());
    await rest(clock);
    gate.resolve(undefined);
    expect(new Set(await Promise.all(all))).toEqual(new Set(["body"]));
    expect(asked).toHaveLength(1);
  });

  it("gives those who join nothing that is the first one's own", async () => {
    const gate = deferred<undefined>();
    const fields = { "cache-control": 'max-age=60, private="x-user"', "x-user": "7", "set-cookie": "a=b", age: "5" };
    for (const options of [{}, { shared: true, storeSetCookie: true }]) {
      const { http, asked, clock } = world(async () => {
        await gate.promise;
        return new Response("body", { headers: fields });
      }, options);
      const both = [http(URL_A), http(URL_A)];
      await rest(clock);
      gate.resolve(undefined);
      const [first, second] = await Promise.all(both);
      expect([first?.headers.get("x-user"), first?.headers.get("set-cookie")]).toEqual(["7", "a=b"]);
      const isShared = "shared" in options;
      expect(second?.headers.get("x-user")).toBe(isShared ? null : "7");
      expect(second?.headers.get("set-cookie")).toBe(isShared ? "a=b" : null);
      expect(asked).toHaveLength(1);
    }
  });

  it("tells the caches on its way what its mode asks of them, and no more", async () => {
    const { text, asked } = world(plain("max-age=60", { etag: '"a"' }));
    for (const cache of ["default", "no-cache", "reload", "no-store"] as const) await text(URL_A, { cache });
    expect(asked.map(({ headers }) => [headers.get("cache-control"), headers.get("pragma")])).toEqual([
      [null, null],
      ["max-age=0", null],
      ["no-cache", "no-cache"],
      ["no-cache", "no-cache"],
    ]);
  });

  it("stores nothing with a tag that cannot be one: it could not be purged", async () => {
    const { text } = world(plain("max-age=60", { "cache-tag": "a".repeat(70_000) }));
    expect([await text(), await text()]).toEqual(["body 1", "body 2"]);
  });

  it("does not queue requests for what is not cacheable, once it has seen that it is not", async () => {
    const gates = Array.from({ length: 40 }, () => deferred<undefined>());
    const { text, asked, clock } = world(async (_asked, number) => {
      await gates[number - 1]?.promise;
      return new Response(String(number), { headers: { "cache-control": "no-store" } });
    });
    const first = [text(), text(), text()];
    await rest(clock);
    expect(asked).toHaveLength(1);
    gates[0]?.resolve(undefined);
    await rest(clock);
    expect(asked).toHaveLength(3);
    const second = [text(), text(), text()];
    await rest(clock);
    expect(asked).toHaveLength(6);
    for (const gate of gates) gate.resolve(undefined);
    expect(new Set(await Promise.all([...first, ...second])).size).toBe(6);
  });

  it("joins another URL's variant to nobody: who asks otherwise gets another answer", async () => {
    const gate = deferred<undefined>();
    const { text, asked, clock } = world(async ({ headers }) => {
      await gate.promise;
      return new Response(headers.get("a"), { headers: { "cache-control": "max-age=60", vary: "a" } });
    });
    const both = [text(URL_A, { headers: { a: "1" } }), text(URL_A, { headers: { a: "2" } })];
    await rest(clock);
    gate.resolve(undefined);
    expect(await Promise.all(both)).toEqual(["1", "2"]);
    expect(asked).toHaveLength(2);
  });

  it("gives a second reader the body under way", async () => {
    const source = new TransformStream<Uint8Array, Uint8Array>();
    const writer = source.writable.getWriter();
    const { http, asked } = world(() => new Response(source.readable, { headers: { "cache-control": "max-age=60" } }));
    const first = await http(URL_A);
    await writer.write(Buffer.from("one "));
    const second = await http(URL_A);
    const reader = second.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("one ");
    await writer.write(Buffer.from("two"));
    await writer.close();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("two");
    expect(await first.text()).toBe("one two");
    expect(status(second)).toContain("collapsed");
    expect(asked).toHaveLength(1);
  });

  it("passes on what is longer than it stores, and asks for it each time", async () => {
    const { text, asked } = world(plain("max-age=60"), { maxBodyBytes: 5 });
    expect([await text(), await text()]).toEqual(["body 1", "body 2"]);
    expect(asked).toHaveLength(2);
  });

  it("has nobody join what says that it is too long: who reads late gets all of it", async () => {
    const body = "x".repeat(1_000);
    const fields = { "cache-control": "max-age=60", "content-length": "1000" };
    const { http, asked } = world(() => new Response(body, { headers: fields }), { maxBodyBytes: 100 });
    const [one, other] = await Promise.all([http(URL_A), http(URL_A)]);
    expect([await one.text(), await other.text()]).toEqual([body, body]);
    expect(status(one)).toContain("detail=too-large");
    expect(asked).toHaveLength(2);
  });

  it("stores nothing that was cut short, or has another length than it says", async () => {
    const { text, http } = world((_asked, number) => {
      const headers = { "cache-control": "max-age=60", "content-length": number === 2 ? "100" : "6" };
      if (number !== 1) return new Response(`body ${number}`, { headers });
      const broken = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(Buffer.from("bo"));
          controller.error(new Error("cut"));
        },
      });
      return new Response(broken, { headers });
    });
    await expect(http(URL_A).then((response) => response.text())).rejects.toThrow("cut");
    expect([await text(), await text(), await text()]).toEqual(["body 2", "body 3", "body 3"]);
  });

  it("serves stale while one request validates", async () => {
    const gate = deferred<undefined>();
    const { text, http, asked, clock } = world(async (_asked, number) => {
      if (number === 2) await gate.promise;
      return new Response(`body ${number}`, { headers: { "cache-control": "max-age=1, stale-while-revalidate=60" } });
    });
    await text();
    await clock.advance(10_000);
    const stale = await Promise.all(Array.from({ length: 50 }, () => text()));
    expect(new Set(stale)).toEqual(new Set(["body 1"]));
    await rest(clock);
    expect(asked).toHaveLength(2);
    gate.resolve(undefined);
    await rest(clock);
    expect(await text()).toBe("body 2");
    expect(status(await http(URL_A))).toContain("hit");
  });

  it("serves stale when the origin fails, where it may", async () => {
    const failing = (cacheControl: string, failure: () => Response) =>
      world((_asked, number) =>
        number === 1 ? new Response("body", { headers: { "cache-control": cacheControl } }) : failure(),
      );
    const unreachable = (): Response => {
      throw new TypeError("fetch failed");
    };
    const broken = (): Response => new Response("broken", { status: 503 });
    const second = async ({ text, clock }: ReturnType<typeof world>): Promise<string> => {
      await text();
      await clock.advance(5_000);
      return text();
    };
    expect(await second(failing("max-age=1", unreachable))).toBe("body");
    await expect(second(failing("max-age=1, must-revalidate", unreachable))).rejects.toThrow("fetch failed");
    expect(await second(failing("max-age=1", broken))).toBe("broken");
    expect(await second(failing("max-age=1, stale-if-error=10", broken))).toBe("body");
  });

  it("has a failure reach those who wait for it, and stores nothing", async () => {
    const { text, asked } = world((_asked, number) => {
      if (number === 1) throw new TypeError("fetch failed");
      return new Response("body", { headers: { "cache-control": "max-age=60" } });
    });
    await expect(text()).rejects.toThrow("fetch failed");
    expect([await text(), await text()]).toEqual(["body", "body"]);
    expect(asked).toHaveLength(2);
  });

  it("ends one caller's wait by its signal and leaves the others theirs", async () => {
    const gate = deferred<undefined>();
    const { http, text, clock, asked } = world(async () => {
      await gate.promise;
      return new Response("body", { headers: { "cache-control": "max-age=60" } });
    });
    const controller = new AbortController();
    const gone = http(URL_A, { signal: controller.signal });
    await rest(clock);
    const stays = text();
    await rest(clock);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(gone).rejects.toBe(reason);
    gate.resolve(undefined);
    expect(await stays).toBe("body");
    expect(asked).toHaveLength(1);
    await expect(http(URL_A, { signal: controller.signal })).rejects.toBe(reason);
  });

  it("ends a body by its reader's signal", async () => {
    const source = new TransformStream<Uint8Array, Uint8Array>();
    const { http } = world(() => new Response(source.readable, { headers: { "cache-control": "max-age=60" } }));
    const controller = new AbortController();
    const response = await http(URL_A, { signal: controller.signal });
    const reading = response.text();
    controller.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
  });

  it("forgets a URL, its variants too, once an unsafe request has succeeded", async () => {
    const { text } = world(({ method }, number) =>
      method === "POST"
        ? new Response("done", { headers: { location: "/other" } })
        : new Response(`body ${number}`, { headers: { "cache-control": "max-age=60", vary: "a" } }),
    );
    await text();
    await text("http://a.example/other");
    expect(await text(URL_A, { method: "POST", body: "x" })).toBe("done");
    expect([await text(), await text("http://a.example/other")]).toEqual(["body 4", "body 5"]);
  });

  it("is not made to forget by an unsafe request that failed", async () => {
    const { text } = world(({ method }, number) =>
      method === "POST"
        ? new Response("no", { status: 500 })
        : new Response(`body ${number}`, { headers: { "cache-control": "max-age=60" } }),
    );
    await text();
    await text(URL_A, { method: "POST" });
    expect(await text()).toBe("body 1");
  });

  it("freshens what is stored by what HEAD says, or drops it", async () => {
    const { text, clock, http } = world(({ method }, number) => {
      const etag = number > 2 ? '"b"' : '"a"';
      return new Response(method === "HEAD" ? null : `body ${number}`, {
        headers: { "cache-control": "max-age=10", etag },
      });
    });
    await text();
    await clock.advance(10_000);
    await http(URL_A, { method: "HEAD" });
    expect(await text()).toBe("body 1");
    await clock.advance(10_000);
    await http(URL_A, { method: "HEAD" });
    expect(await text()).toBe("body 4");
  });

  it("follows redirects, each answer stored under its own URL", async () => {
    const { http, asked } = world(({ url }, number) =>
      url.endsWith("/from")
        ? new Response(null, { status: 301, headers: { location: "/to#part", "cache-control": "max-age=60" } })
        : new Response(`body ${number}`, { headers: { "cache-control": "no-store" } }),
    );
    const first = await http("http://a.example/from");
    expect([await first.text(), first.url, first.redirected]).toEqual(["body 2", "http://a.example/to", true]);
    expect(await (await http("http://a.example/from")).text()).toBe("body 3");
    expect(asked.map(({ url }) => url.slice(16))).toEqual(["/from", "/to", "/to"]);
    expect((await http("http://a.example/from", { redirect: "manual" })).status).toBe(301);
    await expect(http("http://a.example/from", { redirect: "error" })).rejects.toThrow(TypeError);
  });

  it("leaves no redirect's body unread, which would hold its connection", async () => {
    let taken = 0;
    const body = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        pull(controller) {
          taken += 1;
          if (taken === 5) controller.close();
          else controller.enqueue(Buffer.from("moved"));
        },
      });
    const { text } = world(({ url }) =>
      url === URL_A ? new Response(body(), { status: 302, headers: { location: "/to" } }) : new Response("body"),
    );
    expect(await text()).toBe("body");
    expect(taken).toBe(5);
  });

  it("takes credentials to no other origin, and gives up on a circle", async () => {
    const { http, asked } = world(
      ({ url }) =>
        new Response(null, {
          status: 302,
          headers: { location: url.startsWith("http://a") ? "http://b.example/" : "/" },
        }),
    );
    const going = http(URL_A, { headers: { authorization: "x", "x-other": "1" } });
    await expect(going).rejects.toThrow("20 redirects");
    expect([asked[0]?.headers.get("authorization"), asked[1]?.headers.get("authorization")]).toEqual(["x", null]);
    expect(asked[1]?.headers.get("x-other")).toBe("1");
  });
});

describe("cache modes", () => {
  it("no-store neither reads nor stores", async () => {
    const { text } = world(plain("max-age=60"));
    expect([
      await text(URL_A, { cache: "no-store" }),
      await text(),
      await text(URL_A, { cache: "no-store" }),
      await text(),
    ]).toEqual(["body 1", "body 2", "body 3", "body 2"]);
  });

  it("reload asks without conditions and stores", async () => {
    const { text, asked } = world(plain("max-age=60", { etag: '"a"' }));
    await text();
    expect([await text(URL_A, { cache: "reload" }), await text()]).toEqual(["body 2", "body 2"]);
    expect(asked[1]?.headers.has("if-none-match")).toBe(false);
  });

  it("no-cache asks by condition, fresh or not", async () => {
    const { text, asked } = world(plain("max-age=60", { etag: '"a"' }));
    await text();
    expect([await text(URL_A, { cache: "no-cache" }), await text()]).toEqual(["body 2", "body 2"]);
    expect(asked[1]?.headers.get("if-none-match")).toBe('"a"');
  });

  it("force-cache takes what there is, however stale", async () => {
    const { text, clock } = world(plain("max-age=1"));
    expect(await text(URL_A, { cache: "force-cache" })).toBe("body 1");
    await clock.advance(3_600_000);
    expect([await text(URL_A, { cache: "force-cache" }), await text()]).toEqual(["body 1", "body 2"]);
  });

  it("only-if-cached asks nobody", async () => {
    const { http, text, asked } = world(plain("max-age=60"));
    await expect(http(URL_A, { cache: "only-if-cached" })).rejects.toThrow(TypeError);
    const refused = await http(URL_A, { headers: { "cache-control": "only-if-cached" } });
    expect(refused.status).toBe(504);
    await text();
    expect(await text(URL_A, { cache: "only-if-cached" })).toBe("body 1");
    expect(asked).toHaveLength(1);
  });

  it("and options that do not exist are refused", () => {
    const cache = createCache();
    onTestFinished(() => cache.close());
    expect(() => cachedFetch(cache, { share: true } as object)).toThrow("share");
    expect(() => cachedFetch(cache, { maxBodyBytes: 0 })).toThrow("maxBodyBytes");
  });
});

describe("purge", () => {
  it("removes by URL with its variants, by tag and by path; no more", async () => {
    for (const mode of ["hard", "soft"] as const) {
      const { cache, text } = world(plain("max-age=60", { vary: "a", "surrogate-key": "contact:7 list" }));
      const all = async (): Promise<string> =>
        `${await text()},${await text("http://a.example/x/y")},${await text("http://a.example/xy")}`;
      expect(await all()).toBe("body 1,body 2,body 3");
      await purge(cache, { url: URL_A }, { mode });
      expect(await all()).toBe("body 4,body 2,body 3");
      await purge(cache, { prefix: "http://a.example/x" }, { mode });
      expect(await all()).toBe("body 5,body 6,body 3");
      await purge(cache, { tag: "contact:7" }, { mode });
      expect(await all()).toBe("body 7,body 8,body 9");
      await cache.invalidate({ tag: "list" }, { mode });
      expect(await all()).toBe("body 10,body 11,body 12");
    }
  });

  it("that comes while the response is under way keeps it from being stored", async () => {
    for (const vary of ["", "a"]) {
      const gate = deferred<undefined>();
      const { cache, text, clock } = world(async (_asked, number) => {
        if (number === 1) await gate.promise;
        return new Response(`body ${number}`, { headers: { "cache-control": "max-age=60", "cache-tag": "t", vary } });
      });
      const before = text();
      await rest(clock);
      await purge(cache, { tag: "t" });
      gate.resolve(undefined);
      expect(await before).toBe("body 1");
      await rest(clock);
      expect(await text()).toBe("body 2");
    }
  });

  it("is soft where stale may be served", async () => {
    const { cache, text, clock } = world(plain("max-age=60, stale-while-revalidate=60"));
    await text();
    await purge(cache, { url: URL_A }, { mode: "soft" });
    expect(await text()).toBe("body 1");
    await rest(clock);
    expect(await text()).toBe("body 2");
  });
});

describe("cachedFetch with QUERY", () => {
  it("answers it from the store, follows its redirects, and makes a GET of it after a 303", async () => {
    const bodies: string[] = [];
    const cache = createCache();
    onTestFinished(() => cache.close());
    const http = cachedFetch(cache, {
      query: true,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        bodies.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
        if (request.url.endsWith("/moved")) return new Response(null, { status: 307, headers: { location: "/x" } });
        if (request.url.endsWith("/other")) return new Response(null, { status: 303, headers: { location: "/x" } });
        return new Response(String(bodies.length), { headers: { "cache-control": "max-age=60" } });
      },
    });
    const ask = async (path: string): Promise<string> =>
      (await http(`http://a.example${path}`, { method: "QUERY", body: "q" })).text();
    expect([await ask("/x"), await ask("/x")]).toEqual(["1", "1"]);
    expect([await ask("/moved"), await ask("/other")]).toEqual(["1", "4"]);
    expect(bodies).toEqual(["QUERY /x q", "QUERY /moved q", "QUERY /other q", "GET /x "]);
  });
});
