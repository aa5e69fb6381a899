import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { field, read, sent, URL_A, world, type Asked, type Told } from "../../test/support/http-engine.js";
import { fieldValue, hasField } from "./fields.js";
import { purge } from "./purge.js";

/** An origin of one file, which gives ranges of it. */
function file(content: string, headers: Record<string, string> = { etag: '"a"', "cache-control": "max-age=60" }) {
  return ({ fields }: Asked): Told => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(fieldValue(fields, "range") ?? "");
    const condition = fieldValue(fields, "if-range");
    if (range === null || (condition !== undefined && condition !== headers["etag"]))
      return { ...headers, body: content };
    const last = range[2] === "" ? content.length - 1 : Number(range[2]);
    return {
      ...headers,
      status: 206,
      "content-range": `bytes ${range[1]}-${last}/${content.length}`,
      body: content.slice(Number(range[1]), last + 1),
    };
  };
}

describe("parts (RFC 9111 §3.3, §3.4)", () => {
  it("are stored, and answer requests for what lies within them, and no others", async () => {
    const { ask, asked } = world(file("0123456789"));
    const first = await ask({ range: "bytes=2-7" });
    expect([first.status, await read(first), field(first, "cache-status")]).toEqual([
      206,
      "234567",
      "tiercache;fwd=uri-miss;fwd-status=206;stored",
    ]);
    const within = await ask({ range: "bytes=3-5" });
    expect([
      within.status,
      await read(within),
      field(within, "content-range"),
      field(within, "content-length"),
    ]).toEqual([206, "345", "bytes 3-5/10", "3"]);
    const several = await ask({ range: "bytes=2-3,6-7" });
    expect([several.status, field(several, "content-type")?.split(";")[0]]).toEqual([206, "multipart/byteranges"]);
    expect(asked).toHaveLength(1);
    expect(await read(await ask({ range: "bytes=0-3" }))).toBe("0123");
    expect(asked).toHaveLength(2);
  });

  it("are never given for the whole: what is missing is asked for, and from then on it is whole", async () => {
    for (const [range, missing] of [
      ["bytes=0-4", "bytes=5-9"],
      ["bytes=4-", "bytes=0-3"],
    ] as const) {
      const { ask, asked, text } = world(file("0123456789"));
      await text({ range });
      const whole = await ask();
      expect([whole.status, await read(whole), hasField(whole.fields, "content-range")]).toEqual([
        200,
        "0123456789",
        false,
      ]);
      expect(field(whole, "cache-status")).toBe("tiercache;fwd=partial;fwd-status=200;stored");
      expect([sent(asked[1], "range"), sent(asked[1], "if-range")]).toEqual([missing, '"a"']);
      expect(await text()).toBe("0123456789");
      expect(await text({ range: "bytes=1-2" })).toBe("12");
      expect(asked).toHaveLength(2);
    }
  });

  it("are not completed to what the origin has by now, without a strong validator, or from the middle", async () => {
    let content = file("0123456789");
    const { text, asked } = world((one) => content(one));
    await text({ range: "bytes=0-4" });
    content = file("abcdefghij", { etag: '"b"', "cache-control": "max-age=60" });
    expect(await text()).toBe("abcdefghij");
    expect(asked).toHaveLength(2);
    const weak = world(file("0123456789", { etag: 'W/"a"', "cache-control": "max-age=60" }));
    await weak.text({ range: "bytes=0-4" });
    expect([await weak.text(), sent(weak.asked[1], "range")]).toEqual(["0123456789", undefined]);
    const middle = world(file("0123456789"));
    await middle.text({ range: "bytes=3-4" });
    expect([await middle.text(), sent(middle.asked[1], "range")]).toEqual(["0123456789", undefined]);
  });

  it("are asked for again in full when the origin answers with another part", async () => {
    const { text, asked } = world((one, number) => ({
      ...file("0123456789")(one),
      ...(number === 2 ? { etag: '"b"' } : {}),
    }));
    await text({ range: "bytes=0-4" });
    expect(await text()).toBe("0123456789");
    expect(asked).toHaveLength(3);
  });

  it("become one where they overlap or touch and have the same strong tag", async () => {
    const { text, asked } = world(file("0123456789"));
    await text({ range: "bytes=0-3" });
    await text({ range: "bytes=4-6" });
    expect(await text({ range: "bytes=2-5" })).toBe("2345");
    expect(asked).toHaveLength(2);
    await text({ range: "bytes=5-9" });
    expect(await text()).toBe("0123456789");
    expect(asked).toHaveLength(3);
  });

  it("are not put together from two representations", async () => {
    let content = file("0123456789");
    const { text } = world((one) => content(one));
    await text({ range: "bytes=0-3" });
    content = file("abcdefghij", { etag: '"b"', "cache-control": "max-age=60" });
    await text({ range: "bytes=4-6" });
    expect(await text({ range: "bytes=2-5" })).toBe("cdef");
  });

  it("are not stored when they are not what they say, or say nothing of how long they hold", async () => {
    for (const told of [
      { "content-range": "bytes 0-3/10", body: "012" },
      { "content-range": "bytes 0-3/*", body: "0123" },
      { "content-type": "multipart/byteranges; boundary=x", body: "0123" },
      { "content-range": "bytes 0-3/10", body: "0123", "cache-control": "public", etag: 'W/"a"' },
      { "content-range": "bytes 0-3/10", body: "0123", "cache-control": "no-store", etag: '"a"' },
    ]) {
      const { text, asked } = world(() => ({ status: 206, "cache-control": "max-age=60", ...told }));
      await text({ range: "bytes=0-3" });
      await text({ range: "bytes=0-1" });
      expect(asked).toHaveLength(2);
    }
  });

  it("are validated like the whole, and a HEAD is not answered from them", async () => {
    const origin = file("0123456789", { etag: '"a"', "cache-control": "max-age=1" });
    const { text, ask, asked, clock } = world((one) =>
      hasField(one.fields, "if-none-match") ? { status: 304, etag: '"a"' } : origin(one),
    );
    await text({ range: "bytes=0-3" });
    await ask({}, { method: "HEAD" });
    expect(asked).toHaveLength(2);
    await clock.advance(1_000);
    const answer = await ask({ range: "bytes=1-2" });
    expect([answer.status, await read(answer), sent(asked[2], "range")]).toEqual([206, "12", undefined]);
  });

  it("are left alone by a reload, which asks for what it says and no less", async () => {
    const { text, ask, asked } = world(file("0123456789"));
    await text({ range: "bytes=0-3" });
    const part = await ask({ range: "bytes=2-3" }, { mode: "reload" });
    expect([part.status, await read(part), sent(asked[1], "range")]).toEqual([206, "23", "bytes=2-3"]);
    expect([await text({}, { mode: "reload" }), sent(asked[2], "range")]).toEqual(["0123456789", undefined]);
    await text({ range: "bytes=2-3" }, { mode: "reload" });
    expect([sent(asked[3], "range"), hasField(asked[3]?.fields ?? [], "if-none-match")]).toEqual(["bytes=2-3", false]);
  });

  it("end with what is purged while they are under way", async () => {
    const { text, cache, asked } = world(async (one) => {
      await cache.invalidate({ prefix: ["http"] });
      return file("0123456789")(one);
    });
    await text({ range: "bytes=0-3" });
    await text({ range: "bytes=0-3" });
    expect(asked).toHaveLength(2);
  });
});

describe("a client's conditions where nothing is stored", () => {
  it("go to the origin, whose 304 is the client's alone", async () => {
    const { ask, text, asked } = world(({ fields }) =>
      fieldValue(fields, "if-none-match") === '"a"'
        ? { status: 304, etag: '"a"' }
        : { body: "x", etag: '"a"', "cache-control": "max-age=9" },
    );
    expect((await ask({ "if-none-match": '"a"' })).status).toBe(304);
    expect(await text()).toBe("x");
    expect((await ask({ "if-none-match": '"a"' })).status).toBe(304);
    expect(asked).toHaveLength(2);
  });

  it("cost a stampede two requests", async () => {
    const { ask, asked } = world(({ fields }) =>
      hasField(fields, "if-none-match")
        ? { status: 304, etag: '"a"' }
        : { body: "x", etag: '"a"', "cache-control": "max-age=9" },
    );
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ "if-none-match": '"a"' })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 304));
    expect(asked).toHaveLength(2);
  });
});

describe("validation by the tags of all variants (RFC 9111 §4.3.1, §4.3.4)", () => {
  const negotiated = ({ fields }: Asked): Told => {
    const language = fieldValue(fields, "accept-language") === "de" ? "de" : "en";
    const head = { etag: `"${language}"`, vary: "accept-language", "cache-control": "max-age=10" };
    const wanted = fieldValue(fields, "if-none-match") ?? "";
    return wanted.includes(head.etag) ? { ...head, status: 304, "x-new": "1" } : { ...head, body: language };
  };

  it("lets the origin choose a stored one for a request that none is stored for", async () => {
    const { ask, text, asked } = world(negotiated);
    await text({ "accept-language": "de" });
    await text({ "accept-language": "en" });
    const chosen = await ask({ "accept-language": "fr" });
    expect([await read(chosen), field(chosen, "x-new"), sent(asked[2], "if-none-match")]).toEqual([
      "en",
      "1",
      '"de", "en"',
    ]);
    expect([await text({ "accept-language": "fr" }), asked.length]).toEqual(["en", 3]);
  });

  it("asks in full when the tag that is named is not stored any more, or none is named", async () => {
    for (const etag of ['"gone"', undefined]) {
      const { text, asked } = world(({ fields }, number) =>
        hasField(fields, "if-none-match")
          ? { status: 304, ...(etag && { etag }), vary: "a" }
          : { body: String(number), etag: `"${number}"`, vary: "a", "cache-control": "max-age=1" },
      );
      await text({ a: "1" });
      await text({ a: "2" });
      expect([await text({ a: "3" }), asked.length]).toEqual(["5", 5]);
    }
  });

  it("is not done in a private cache, whose variants are users'", async () => {
    const { text, asked } = world(negotiated, { shared: false });
    await text({ authorization: "a" });
    await text({ authorization: "b" });
    expect(asked.map((one) => hasField(one.fields, "if-none-match"))).toEqual([false, false]);
  });
});

describe("the cache's gate", () => {
  it("is not held by bodies on their way", async () => {
    const never = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) });
    const { ask, text } = world(
      ({ url }) => ({ "cache-control": "max-age=9", body: url.endsWith("slow") ? never : "x" }),
      {},
      { loads: { concurrency: 1 } },
    );
    const slow = await ask({}, { url: `${URL_A}/slow` });
    expect(await text()).toBe("x");
    await (slow.body as ReadableStream<Uint8Array>).cancel();
  });
});

describe("one stored encoding (RFC 9110 §8.4)", () => {
  const packed = (coding: "gzip" | "br", more: Record<string, string> = {}) => {
    const bytes = coding === "gzip" ? gzipSync("hello hello") : brotliCompressSync("hello hello");
    return (): Told => ({
      body: bytes,
      "content-encoding": coding,
      "content-length": bytes.length,
      "accept-ranges": "bytes",
      etag: '"packed"',
      vary: "Accept-Encoding",
      "cache-control": "max-age=60",
      ...more,
    });
  };

  it("is given as it came to those who accept it, and decoded to all others", async () => {
    for (const coding of ["gzip", "br"] as const) {
      const { ask, asked } = world(packed(coding));
      const first = await ask({ "accept-encoding": "gzip, br" });
      expect([field(first, "content-encoding"), field(first, "etag")]).toEqual([coding, '"packed"']);
      await new Response(first.body as ReadableStream).arrayBuffer();
      const again = await ask({ "accept-encoding": `br;q=0.5, GZIP;q=0.1` });
      expect([field(again, "content-encoding"), field(again, "etag")]).toEqual([coding, '"packed"']);
      for (const accept of [{}, { "accept-encoding": "identity" }, { "accept-encoding": `${coding};q=0, *` }]) {
        const decoded = await ask(accept);
        expect(await read(decoded)).toBe("hello hello");
        expect(
          ["content-encoding", "content-length", "accept-ranges", "etag", "vary"].map((name) => field(decoded, name)),
        ).toEqual([undefined, undefined, undefined, 'W/"packed"', "Accept-Encoding"]);
      }
      expect(asked).toHaveLength(1);
    }
  });

  it("is validated by clients of either form, and has no ranges when it is decoded", async () => {
    const { ask, asked } = world(packed("gzip"));
    await read(await ask({ "accept-encoding": "gzip" }));
    const decoded = await ask({ "if-none-match": 'W/"packed"' });
    expect([decoded.status, field(decoded, "etag")]).toEqual([304, 'W/"packed"']);
    const range = await ask({ range: "bytes=0-1" });
    expect([range.status, await read(range)]).toEqual([200, "hello hello"]);
    expect((await ask({ range: "bytes=0-1", "accept-encoding": "gzip" })).status).toBe(206);
    expect(asked).toHaveLength(1);
  });

  it("is shared by those who come at once", async () => {
    const { text, ask, asked } = world(packed("gzip"));
    const [encoded, plain] = await Promise.all([ask({ "accept-encoding": "gzip" }), text()]);
    expect([field(encoded, "content-encoding"), plain, asked.length]).toEqual(["gzip", "hello hello", 1]);
  });

  it("is asked about in its own coding", async () => {
    const { text, asked, clock, ask } = world(({ fields }) =>
      hasField(fields, "if-none-match")
        ? { status: 304, etag: '"packed"' }
        : packed("gzip", { "cache-control": "max-age=1" })(),
    );
    await read(await ask({ "accept-encoding": "gzip" }));
    await clock.advance(1_000);
    expect(await text({ "accept-encoding": "identity" })).toBe("hello hello");
    expect(sent(asked[1], "accept-encoding")).toBe("gzip");
  });

  it("is not decoded with no-transform, an unknown coding, or when it is switched off: then Vary counts as it stands", async () => {
    const worlds = [
      world(packed("gzip", { "cache-control": "max-age=60, no-transform" })),
      world(packed("gzip", { "content-encoding": "zstd" })),
      world(packed("gzip"), { negotiate: false }),
    ];
    for (const { ask, asked } of worlds) {
      await read(await ask({ "accept-encoding": "gzip" }));
      await read(await ask({ "accept-encoding": "identity" }));
      expect(asked).toHaveLength(2);
    }
  });

  it("ends the body with an error when its bytes are not what they say", async () => {
    const { ask } = world(packed("gzip", { "content-length": "5" }));
    await read(await ask({ "accept-encoding": "gzip" }));
    const broken = world(() => ({ ...packed("gzip")(), body: "no gzip", "content-length": 7 }));
    await read(await broken.ask({ "accept-encoding": "gzip" }));
    await expect(broken.text()).rejects.toThrow("incorrect header check");
  });
});

describe("groups (RFC 9875)", () => {
  const grouped = ({ method, url }: Asked, number: number): Told => {
    if (method !== "GET") return { "cache-group-invalidation": '"scripts"' };
    const { pathname } = new URL(url);
    const groups: Record<string, string> = { "/a": '"scripts", "b"', "/b": '"other"', "/c": '"scripts' };
    return { body: String(number), "cache-control": "max-age=60", "cache-groups": groups[pathname] ?? "" };
  };
  const at = (path: string, origin = "http://a.example") => ({ url: `${origin}${path}` });

  it("fall together, by the answer to an unsafe request, within their origin", async () => {
    const { text, ask } = world(grouped);
    for (const path of ["/a", "/b", "/c"]) await text({}, at(path));
    await text({}, at("/a", "http://b.example"));
    await ask({}, { method: "POST", url: "http://a.example/z" });
    expect([await text({}, at("/b")), await text({}, at("/c")), await text({}, at("/a", "http://b.example"))]).toEqual([
      "2",
      "3",
      "4",
    ]);
    expect(await text({}, at("/a"))).toBe("6");
  });

  it("are not invalidated by the answer to a safe request", async () => {
    for (const method of ["OPTIONS", "QUERY"]) {
      const { text, ask } = world(grouped);
      await text({}, at("/a"));
      await ask({}, { method, url: "http://a.example/z" });
      expect(await text({}, at("/a"))).toBe("1");
    }
  });

  it("are tags of the cache", async () => {
    const { text, cache } = world(grouped);
    await text({}, at("/a"));
    await purge(cache, { tag: "b" });
    expect(await text({}, at("/a"))).toBe("2");
  });
});

describe("QUERY (RFC 10008)", () => {
  const answers = (_asked: Asked, number: number): Told => ({ body: String(number), "cache-control": "max-age=60" });
  const query = (content: string, url = URL_A) => ({
    method: "QUERY",
    url,
    content: new TextEncoder().encode(content),
  });

  it("is answered from the store by its content and what describes it, byte for byte", async () => {
    const { text } = world(answers, { query: true });
    const json = { "content-type": "application/json" };
    expect(await text(json, query("{}"))).toBe("1");
    expect(await text(json, query("{}"))).toBe("1");
    expect(await text(json, query("{ }"))).toBe("2");
    expect(await text({ "content-type": "application/sql" }, query("{}"))).toBe("3");
    expect(await text({}, query("{}"))).toBe("4");
    expect(await text()).toBe("5");
  });

  it("falls with its URL, by an unsafe request or a purge, and invalidates nothing itself", async () => {
    const { text, ask, cache } = world(answers, { query: true });
    await text({}, query("a"));
    expect([await text(), await text({}, query("a"))]).toEqual(["2", "1"]);
    await text({}, { method: "POST" });
    expect(await text({}, query("a"))).toBe("4");
    await purge(cache, { url: URL_A });
    expect(await text({}, query("a"))).toBe("5");
    expect((await ask({}, { method: "QUERY" })).status).toBe(200);
    expect(await text({}, query("a"))).toBe("5");
  });

  it("goes by the cache unless it is switched on", async () => {
    const { text } = world(answers);
    expect([await text({}, query("a")), await text({}, query("a"))]).toEqual(["1", "2"]);
  });
});
