import { afterEach, describe, expect, it } from "vitest";

import { deferred } from "../support/deferred.js";
import { FACES, made, type Face, type Route, type RunningApp } from "../support/http-apps.js";
import type { AppCacheOptions } from "../../src/http/app-rules.js";
import { until } from "../support/until.js";

const running: RunningApp[] = [];

afterEach(async () => {
  for (const app of running.splice(0)) await app.close();
});

async function start(face: Face, route: Route, options?: AppCacheOptions): Promise<RunningApp> {
  const app = await face(route, options);
  running.push(app);
  return app;
}

const PUBLIC = { "cache-control": "public, max-age=60", "content-type": "text/plain" };

function status(response: Response): string {
  return response.headers.get("cache-status") ?? "";
}

describe.each(Object.entries(FACES))("the %s face", (_name, face) => {
  it("answers from the cache what the application has said is fresh", async () => {
    const app = await start(face, () => made("hello", { ...PUBLIC, "x-two": ["a", "b"] }));
    const first = await fetch(app.url);
    expect([first.status, await first.text(), status(first)]).toEqual([
      200,
      "hello",
      expect.stringContaining("fwd=uri-miss"),
    ]);
    const second = await fetch(app.url);
    expect([second.status, await second.text(), status(second)]).toEqual([
      200,
      "hello",
      expect.stringContaining(";hit"),
    ]);
    expect(second.headers.get("x-two")).toBe("a, b");
    expect(second.headers.get("content-type")).toBe("text/plain");
    expect(app.asked).toHaveLength(1);
  });

  it("gives the application fields that are called as what every object has, as they are", async () => {
    const app = await start(face, () => made("x", PUBLIC));
    const answer = await fetch(app.url, { headers: { constructor: "a", tostring: "b", "x-plain": "c" } });
    expect([answer.status, await answer.text()]).toEqual([200, "x"]);
    expect(app.asked.map(({ headers }) => [headers["constructor"], headers["x-plain"]])).toEqual([["a", "c"]]);
  });

  it("stores nothing that says nothing of its freshness, unless a ttl is given", async () => {
    const silent = await start(face, () => made("a"));
    await (await fetch(silent.url)).text();
    await (await fetch(silent.url)).text();
    expect(silent.asked).toHaveLength(2);
    const timed = await start(face, () => made("a"), { ttl: "1m", tags: ["page"] });
    await (await fetch(timed.url)).text();
    expect(status(await fetch(timed.url))).toContain("hit");
    await timed.cache.invalidate({ tag: "page" });
    expect(status(await fetch(timed.url))).toContain("fwd=");
    expect(timed.asked).toHaveLength(2);
  });

  it("runs the application once for many who ask for the same at the same time", async () => {
    const gate = deferred<void>();
    const app = await start(face, async () => {
      await gate.promise;
      return made("one", PUBLIC);
    });
    const answers = Array.from({ length: 30 }, async () => (await fetch(app.url)).text());
    await until(() => app.asked.length > 0);
    gate.resolve();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["one"]));
    expect(app.asked).toHaveLength(1);
  });

  it("gives a body while it is made, to those who join as well", async () => {
    const rest = deferred<void>();
    async function* body(): AsyncIterable<string> {
      yield "begin ";
      await rest.promise;
      yield "end";
    }
    const app = await start(face, () => made(body(), PUBLIC));
    const readers = await Promise.all([fetch(app.url), fetch(app.url)]);
    const streams = readers.map(({ body: stream }) => (stream as ReadableStream<Uint8Array>).getReader());
    for (const reader of streams) {
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("begin ");
    }
    rest.resolve();
    for (const reader of streams) {
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("end");
      expect((await reader.read()).done).toBe(true);
    }
    expect(app.asked).toHaveLength(1);
  });

  it("answers HEAD, conditions and ranges from what is stored", async () => {
    const app = await start(face, () => made("0123456789", { ...PUBLIC, etag: '"v1"' }));
    await (await fetch(app.url)).text();
    const head = await fetch(app.url, { method: "HEAD" });
    expect([head.status, await head.text(), head.headers.get("etag")]).toEqual([200, "", '"v1"']);
    const same = await fetch(app.url, { headers: { "if-none-match": '"v1"', "cache-control": "max-age=60" } });
    expect([same.status, await same.text()]).toEqual([304, ""]);
    const part = await fetch(app.url, { headers: { range: "bytes=2-4" } });
    expect([part.status, await part.text(), part.headers.get("content-range")]).toEqual([206, "234", "bytes 2-4/10"]);
    const none = await fetch(app.url, { headers: { range: "bytes=20-" } });
    expect([none.status, none.headers.get("content-range")]).toEqual([416, "bytes */10"]);
    expect(app.asked).toHaveLength(1);
  });

  it("never stores a 304 that answered a client's own condition", async () => {
    const app = await start(face, ({ headers }) =>
      headers["if-none-match"] === '"v1"' ? made("", {}, 304) : made("whole", { ...PUBLIC, etag: '"v1"' }),
    );
    const same = await fetch(app.url, { headers: { "if-none-match": '"v1"', "cache-control": "max-age=60" } });
    expect(same.status).toBe(304);
    expect(await (await fetch(app.url)).text()).toBe("whole");
    expect(await (await fetch(app.url)).text()).toBe("whole");
    expect(app.asked.length).toBeLessThanOrEqual(2);
  });

  it("serves stale while the application makes a new one behind it, once", async () => {
    let version = 0;
    const gate = deferred<void>();
    const app = await start(face, async () => {
      version += 1;
      if (version > 1) await gate.promise;
      return made(`v${version}`, { "cache-control": "public, max-age=0, stale-while-revalidate=60" });
    });
    expect(await (await fetch(app.url)).text()).toBe("v1");
    const stale = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(app.url)).text()));
    expect(new Set(stale)).toEqual(new Set(["v1"]));
    await until(() => app.asked.length === 2);
    gate.resolve();
    await until(async () => (await (await fetch(app.url)).text()) !== "v1");
  });

  it("outdates what is stored when a change has succeeded, before that is answered", async () => {
    let value = "old";
    const app = await start(face, ({ method }) => {
      if (method === "POST") value = "new";
      return method === "POST" ? made("done", {}, 201) : made(value, PUBLIC);
    });
    expect(await (await fetch(app.url)).text()).toBe("old");
    expect((await fetch(app.url, { method: "POST", body: "x" })).status).toBe(201);
    expect(await (await fetch(app.url)).text()).toBe("new");
  });

  it("gives the application's error to the client, and stores none of it", async () => {
    let fails = true;
    const app = await start(face, () => {
      if (fails) throw new Error("broken");
      return made("mended", PUBLIC);
    });
    expect((await fetch(app.url)).status).toBe(500);
    fails = false;
    expect(await (await fetch(app.url)).text()).toBe("mended");
  });

  it("cuts the client's answer where the application's is cut, and stores none of it", async () => {
    let fails = true;
    async function* broken(): AsyncIterable<string> {
      yield "half";
      throw new Error("broken");
    }
    const app = await start(face, () => (fails ? made(broken(), PUBLIC) : made("whole", PUBLIC)));
    // Where the cut comes before the head has gone, it is an error like any other.
    const whole = fetch(app.url).then(async (response) => (response.ok ? response.text() : Promise.reject(response)));
    await expect(whole).rejects.toBeDefined();
    fails = false;
    expect(await (await fetch(app.url)).text()).toBe("whole");
  });

  it("streams what is longer than the store's bound, and stores none of it", async () => {
    async function* long(): AsyncIterable<string> {
      for (let part = 0; part < 32; part += 1) yield "x".repeat(65_536);
    }
    const app = await start(face, () => made(long(), PUBLIC), { maxBodyBytes: 65_536 });
    expect((await (await fetch(app.url)).text()).length).toBe(32 * 65_536);
    expect((await (await fetch(app.url)).text()).length).toBe(32 * 65_536);
    expect(app.asked).toHaveLength(2);
  });

  it("keeps apart what the fields named in `vary` say", async () => {
    const app = await start(face, ({ headers }) => made(String(headers["x-plan"]), PUBLIC), { vary: ["x-plan"] });
    for (const plan of ["a", "b", "a", "b"]) {
      expect(await (await fetch(app.url, { headers: { "x-plan": plan } })).text()).toBe(plan);
    }
    expect(app.asked).toHaveLength(2);
  });
});
