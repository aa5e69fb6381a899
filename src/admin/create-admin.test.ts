import { afterEach, describe, expect, it } from "vitest";

import { processes } from "../../test/support/processes.js";
import { createCache, type Cache } from "../index.js";
import { FakeClock } from "../testing/index.js";
import { createAdmin, type Admin } from "./create-admin.js";
import type { Found } from "./explore.js";
import type { AdminOptions, AdminRole } from "./options.js";
import type { AuditLine, PurgePreview } from "./purges.js";

const TOKENS: Readonly<Record<AdminRole, string>> = {
  viewer: "viewer-token-0123456789",
  reader: "reader-token-0123456789",
  operator: "operator-token-012345678",
  admin: "admin-token-0123456789a",
};
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

interface World {
  readonly cache: Cache;
  readonly admin: Admin;
  readonly clock: FakeClock;
  readonly audit: AuditLine[];
  /** Asks as somebody with the token of a role. */
  readonly ask: (
    path: string,
    options?: { role?: AdminRole; body?: unknown; headers?: Record<string, string>; method?: string },
  ) => Promise<Response>;
}

function open(options: AdminOptions = {}): World {
  const clock = new FakeClock();
  const cache = createCache({ name: "crm", clock, jitter: 0, ttl: "1h", staleWhileRevalidate: "1h" });
  const audit: AuditLine[] = [];
  const admin = createAdmin(cache, {
    environment: "test",
    ...(options.authenticate === undefined && { tokens: TOKENS }),
    clock,
    audit: (line) => audit.push(JSON.parse(line) as AuditLine),
    ...options,
  });
  ends.push(async () => {
    await admin.close();
    const closing = cache.close();
    await clock.advance(10_000);
    await closing;
  });
  return {
    cache,
    admin,
    clock,
    audit,
    ask: (path, { role = "admin", body, headers = {}, method } = {}) =>
      admin.fetch(
        new Request(`http://localhost:7070/${path}`, {
          method: method ?? (body === undefined ? "GET" : "POST"),
          headers: {
            host: "localhost:7070",
            authorization: `Bearer ${TOKENS[role]}`,
            ...(body !== undefined && { "content-type": "application/json" }),
            ...headers,
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        }),
      ),
  };
}

async function json<T = Record<string, unknown>>(response: Response): Promise<T> {
  return (await response.json()) as T;
}

describe("who may ask", () => {
  it.each(["evil.example", "evil.example:7070", "localhost.evil.example", "127.0.0.1.evil.example"])(
    "a page that had the name %s point here gets nothing, token or not",
    async (host) => {
      const { ask } = open();
      for (const path of ["", "api/me", "api/overview"]) {
        const response = await ask(path, { headers: { host } });
        expect(response.status).toBe(403);
        expect(await json(response)).toMatchObject({ error: { code: "host" } });
      }
    },
  );

  it.each(["localhost", "localhost:1", "127.0.0.1:7070", "[::1]:7070", "LOCALHOST:7070"])(
    "answers to %s",
    async (host) => {
      expect((await open().ask("api/me", { headers: { host } })).status).toBe(200);
    },
  );

  it("answers to a name that is listed", async () => {
    const { ask } = open({ hosts: ["cache.internal"] });
    expect((await ask("api/me", { headers: { host: "cache.internal:8443" } })).status).toBe(200);
  });

  it.each([
    ["another origin", { origin: "http://evil.example" }],
    ["another port", { origin: "http://localhost:3000" }],
    ["a sandboxed frame", { origin: "null" }],
    ["a browser that says so", { "sec-fetch-site": "cross-site" }],
    ["another port, as a browser says it", { "sec-fetch-site": "same-site" }],
  ])("nothing is answered to a page of %s", async (_name, headers: Record<string, string>) => {
    const { ask } = open();
    expect((await ask("api/me", { headers })).status).toBe(403);
    expect((await ask("api/preview", { headers, body: { target: { kind: "all" } } })).status).toBe(403);
  });

  it("a link on another site leads to the page, and to nothing else", async () => {
    const { ask } = open();
    const visit = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    const status = async (path: string, more: Record<string, string> = {}, method = "GET"): Promise<number> =>
      (await ask(path, { headers: { ...visit, ...more }, method })).status;
    expect(await status("")).toBe(200);
    expect(await status("api/me")).toBe(403);
    expect(await status("", { "sec-fetch-dest": "iframe" })).toBe(403);
    expect(await status("", { "sec-fetch-mode": "no-cors" })).toBe(403);
    expect(await status("", { origin: "http://evil.example" })).toBe(403);
    expect(await status("", {}, "POST")).toBe(403);
  });

  it("the page's own requests are answered", async () => {
    const headers = { origin: "http://localhost:7070", "sec-fetch-site": "same-origin" };
    expect((await open().ask("api/me", { headers })).status).toBe(200);
  });

  it("nobody without a token, with a wrong one, or with a part of one", async () => {
    const { ask } = open();
    for (const authorization of [
      "",
      "Bearer ",
      "Bearer nonsense",
      `Bearer ${TOKENS.admin.slice(1)}`,
      `Basic ${TOKENS.admin}`,
    ]) {
      const response = await ask("api/me", { headers: { authorization } });
      expect([authorization, response.status]).toEqual([authorization, 401]);
    }
  });

  it("a token is exchanged for a cookie that scripts cannot read and other sites do not send", async () => {
    const { ask, clock } = open();
    const given = await ask("api/session", { body: { token: TOKENS.operator }, headers: { authorization: "" } });
    const cookie = given.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/^tiercache_admin_[0-9a-f]{8}=[^;]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(TOKENS.operator);
    const pair = cookie.split(";")[0] ?? "";
    const asked = await ask("api/me", { headers: { authorization: "", cookie: `a=b; ${pair}` } });
    expect(await json(asked)).toMatchObject({ role: "operator" });
    // A cookie says its role; it must not be able to say another.
    const forged = pair.replace("operator", "admin");
    expect((await ask("api/me", { headers: { authorization: "", cookie: forged } })).status).toBe(401);
    await clock.advance(13 * 3_600_000);
    expect((await ask("api/me", { headers: { authorization: "", cookie: pair } })).status).toBe(401);
    expect((await ask("api/session", { body: { token: "wrong-token-0123456" } })).status).toBe(401);
  });

  it("two on one machine have cookies of different names, as a browser sends them to every port", async () => {
    const name = async ({ ask }: World, token: string): Promise<string | undefined> =>
      (await ask("api/session", { body: { token } })).headers.get("set-cookie")?.split("=")[0];
    const other = open({ tokens: { admin: "another-token-0123456" } });
    expect(await name(open(), TOKENS.admin)).not.toBe(await name(other, "another-token-0123456"));
    expect(await name(open(), TOKENS.admin)).toBe(await name(open(), TOKENS.viewer));
  });

  it("a cookie of another deployment's tokens is none", async () => {
    const one = open();
    const other = open({ tokens: { admin: "another-token-0123456" } });
    const given = await one.ask("api/session", { body: { token: TOKENS.admin } });
    const cookie = (given.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    expect((await other.ask("api/me", { headers: { authorization: "", cookie } })).status).toBe(401);
  });

  it("is asked of the user's own sessions, where that is given", async () => {
    const { ask } = open({
      authenticate: (request) =>
        request.headers.get("x-user") === "ann" ? { name: "ann", role: "reader" } : undefined,
    });
    expect(await json(await ask("api/me", { headers: { "x-user": "ann" } }))).toMatchObject({
      actor: "ann",
      role: "reader",
    });
    expect((await ask("api/me")).status).toBe(401);
  });

  it("refuses to start where others reach it, without a token of the user's", async () => {
    const cache = createCache({ name: "crm" });
    const admin = createAdmin(cache);
    await expect(admin.listen({ host: "0.0.0.0" })).rejects.toThrow("Expected `tokens` or `authenticate`");
    const server = await admin.listen();
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{32}$/);
    await server.close();
    await admin.close();
    await cache.close();
  });

  it("a token that is too short is refused without being shown", () => {
    const cache = createCache();
    ends.push(() => cache.close());
    expect(() => createAdmin(cache, { tokens: { admin: "tooshort" } })).toThrow(
      /^Expected `tokens.admin` to be text of 16 characters or more$/,
    );
    expect(() => createAdmin(cache, { nonsense: 1 } as never)).toThrow("nonsense");
  });
});

describe("roles", () => {
  const ALLOWED: readonly (readonly [AdminRole, readonly string[]])[] = [
    ["viewer", ["me", "overview", "keys?kind=key&text=a", "entry?path=a"]],
    ["operator", ["preview"]],
    ["admin", ["audit"]],
  ];
  it.each(["viewer", "reader", "operator", "admin"] as const)("%s may what it may, and no more", async (role) => {
    const { ask } = open();
    const order: readonly AdminRole[] = ["viewer", "reader", "operator", "admin"];
    for (const [needed, paths] of ALLOWED) {
      for (const path of paths) {
        const body = path === "preview" ? { target: { kind: "key", text: "a" } } : undefined;
        const { status } = await ask(`api/${path}`, { role, body });
        const isAllowed = order.indexOf(role) >= order.indexOf(needed);
        expect([role, path, status]).toEqual([role, path, isAllowed ? 200 : 403]);
      }
    }
    const all = await ask("api/preview", { role, body: { target: { kind: "all" } } });
    expect(all.status).toBe(role === "admin" ? 200 : 403);
  });

  it("values are for readers, without secrets, and for nobody in production", async () => {
    const value = { name: "Ann", password: "hunter2" };
    const shown = async (options: AdminOptions, role: AdminRole): Promise<string> => {
      const { cache, ask } = open(options);
      await cache.set("a", value);
      return (await ask("api/entry?path=a", { role })).text();
    };
    expect(await shown({}, "viewer")).not.toContain("Ann");
    const read = await shown({}, "reader");
    expect(read).toContain("Ann");
    expect(read).not.toContain("hunter2");
    for (const environment of ["production", "PROD", "prod-eu-1", undefined, ""])
      expect(await shown({ environment }, "admin")).not.toContain("Ann");
    expect(await shown({ environment: "production", values: true }, "reader")).toContain("Ann");
  });

  it("in production nothing is purged, unless that is said", async () => {
    const body = { target: { kind: "key", text: "a" } };
    expect((await open({ environment: "production" }).ask("api/preview", { body })).status).toBe(403);
    expect((await open({ environment: "production", readOnly: false }).ask("api/preview", { body })).status).toBe(200);
    expect((await open({ readOnly: true }).ask("api/preview", { body })).status).toBe(403);
  });
});

describe("a purge", () => {
  async function preview(
    { ask }: World,
    target: unknown,
    soft = true,
    role: AdminRole = "operator",
  ): Promise<PurgePreview> {
    const response = await ask("api/preview", { role, body: { target, soft } });
    expect(response.status).toBe(200);
    return json<PurgePreview>(response);
  }

  it("is counted first, and only what was counted runs: once, by whoever looked, within two minutes", async () => {
    const world = open();
    const { cache, ask, clock, audit } = world;
    await cache.set("user:1", 1, { tags: ["team"] });
    await cache.set("user:2", 2, { tags: ["team"] });
    await cache.set("page:1", 3);
    const seen = await preview(world, { kind: "tag", text: "team" });
    expect(seen).toMatchObject({ marks: ["tag global:team"], soft: true, memory: { entries: 2, complete: true } });
    expect([...seen.sample].toSorted()).toEqual(["user:1", "user:2"]);
    expect(seen.confirm).toBeUndefined();

    const run = (token: unknown, role: AdminRole = "operator"): Promise<Response> =>
      ask("api/purge", { role, body: { token } });
    expect((await run("nonsense")).status).toBe(409);
    expect((await run(undefined)).status).toBe(409);
    expect((await run(seen.token, "admin")).status).toBe(409);
    expect(cache.peek("user:1")).toBe(1);

    const done = await run(seen.token);
    expect(await json(done)).toMatchObject({ memory: 2 });
    expect((await run(seen.token)).status).toBe(409);
    expect(cache.peek("user:1")).toBeUndefined();
    // Soft: still there, to be served while it is loaded again.
    expect(await cache.get("user:1", { stale: true })).toBe(1);
    expect(cache.peek("page:1")).toBe(3);

    const late = await preview(world, { kind: "key", text: "page:1" }, false);
    await clock.advance(121_000);
    expect((await run(late.token)).status).toBe(409);
    expect(cache.peek("page:1")).toBe(3);

    expect(audit).toMatchObject([
      {
        event: "purge-started",
        actor: "token:operator",
        role: "operator",
        cache: "crm",
        soft: true,
        previewed: { memory: 2 },
      },
      { event: "purge-done", actor: "token:operator", marks: ["tag global:team"], actual: { memory: 2 } },
    ]);
    expect(await json(await ask("api/audit"))).toMatchObject({
      lines: [{ event: "purge-done" }, { event: "purge-started" }],
    });
  });

  it("of everything asks for the cache's name", async () => {
    const world = open();
    await world.cache.set("a", 1);
    const seen = await preview(world, { kind: "all" }, false, "admin");
    expect(seen.confirm).toBe("crm");
    const run = (confirm?: string): Promise<Response> =>
      world.ask("api/purge", { body: { token: seen.token, confirm } });
    expect((await run()).status).toBe(409);
    expect((await run("CRM")).status).toBe(409);
    expect(world.cache.peek("a")).toBe(1);
    expect((await run("crm")).status).toBe(200);
    expect(world.cache.peek("a")).toBeUndefined();
  });

  it("that cannot be written down does not happen", async () => {
    const world = open({
      audit: () => {
        throw new Error("disk full");
      },
    });
    await world.cache.set("a", 1);
    const seen = await preview(world, { kind: "key", text: "a" }, false);
    expect((await world.ask("api/purge", { role: "operator", body: { token: seen.token } })).status).toBe(500);
    expect(world.cache.peek("a")).toBe(1);
  });

  it("is not counted for more than four at once, so that many who look hold up nobody", async () => {
    const world = open();
    await world.cache.setMany(Array.from({ length: 2_000 }, (_, id) => [id, id] as const));
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        at % 2 === 0
          ? world.ask("api/keys?kind=pattern&text=*%3Ax")
          : world.ask("api/preview", { body: { target: { kind: "prefix", text: "a" } } }),
      ),
    );
    expect(all.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 503, 503]);
    expect((await world.ask("api/keys?kind=key&text=1")).status).toBe(200);
  });

  it("finds an entity's entry by its path, a tag of one tenant, a prefix and a namespace", async () => {
    const world = open();
    const user = world.cache.entity<number, number>({ name: "user", load: async (id) => id });
    await user.get(7);
    await world.cache.namespace("inner").set("a", 1);
    await world.cache.set("a:1", 1);
    const count = async (target: unknown): Promise<number | undefined> =>
      (await preview(world, target)).memory?.entries;
    expect(await count({ kind: "key", text: "global:user:7:v1" })).toBe(1);
    expect(await count({ kind: "entity", text: "user" })).toBe(1);
    expect(await count({ kind: "prefix", text: "a" })).toBe(1);
    expect(await count({ kind: "prefix", text: "/inner" })).toBe(1);
    expect(await count({ kind: "tag", text: "team:1", scope: "acme" })).toBe(0);
  });

  it.each([
    "user 1",
    "100%25",
    "a=b",
    "<script>",
    "javascript:x",
    "__proto__",
    "nul\u0000",
    "\u202Egnp",
    "\u{1F600} x",
  ])("of an entry and of its tag, as they are named when they are found, hits them: %j", async (text) => {
    const world = open();
    await world.cache.set([text, "x"], 1, { tags: [[text, "t"]] });
    await world.cache.set("other", 1, { tags: ["other"] });
    const found = await json<Found>(await world.ask("api/keys?kind=pattern&text=*%3Ax"));
    const [entry] = found.keys;
    const path = entry?.key ?? "";
    const canonical = true;
    expect((await preview(world, { kind: "key", text: path, canonical })).sample).toEqual([path]);
    expect((await preview(world, { kind: "tag", text: entry?.memory?.tags[0], canonical })).sample).toEqual([path]);
    const again = `api/keys?kind=key&canonical=true&text=${encodeURIComponent(path)}`;
    expect((await json<Found>(await world.ask(again))).memory?.entries).toBe(1);
  });

  it("of what the cache keeps for itself is refused", async () => {
    const { ask } = open();
    for (const text of ["~admin-watch", "!lock"])
      expect((await ask("api/preview", { body: { target: { kind: "key", text, canonical: true } } })).status).toBe(400);
  });

  it("of a text that is too long says how long it may be", async () => {
    const answer = await open().ask("api/preview", { body: { target: { kind: "key", text: "x".repeat(9_000) } } });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining("1 to 8192 characters")]);
  });

  it("runs as it was looked at, whatever changed since: what came under the same mark goes, and nothing else", async () => {
    const world = open();
    await world.cache.set("a", 1, { tags: ["t"] });
    await world.cache.set("b", 1, { tags: ["u"] });
    const seen = await preview(world, { kind: "tag", text: "t" }, false);
    expect(seen.memory?.entries).toBe(1);
    await world.cache.set("c", 1, { tags: ["t"] });
    await world.cache.delete("a");
    const both = await Promise.all(
      [1, 2].map(() =>
        world.ask("api/purge", { role: "operator", body: { token: seen.token, target: { kind: "all" } } }),
      ),
    );
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    expect(["a", "b", "c"].map((key) => world.cache.peek(key))).toEqual([undefined, 1, undefined]);
    expect(world.audit.map(({ event, previewed, actual }) => [event, previewed.memory, actual?.memory])).toEqual([
      ["purge-started", 1, undefined],
      ["purge-done", 1, 1],
    ]);
  });

  it.each([{ kind: "nonsense" }, { kind: "key" }, { kind: "key", text: 7 }, {}, null, { kind: "pattern", text: "*" }])(
    "of what is no target is refused: %j",
    async (target) => {
      expect((await open().ask("api/preview", { body: { target } })).status).toBe(400);
    },
  );

  it("tells a shared tier that does not acknowledge it", async () => {
    const world = await processes(1);
    const [cache] = world.caches as [Cache];
    const admin = createAdmin(cache, { environment: "test", tokens: TOKENS, clock: world.clock });
    const ask = async (path: string, body: unknown): Promise<Response> => {
      const answer = admin.fetch(
        new Request(`http://localhost/api/${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${TOKENS.admin}`, "content-type": "application/json" },
          body: JSON.stringify(body),
        }),
      );
      await world.clock.advance(5_000);
      return answer;
    };
    world.connections[0]?.fail();
    const seen = await json<PurgePreview>(await ask("preview", { target: { kind: "tag", text: "t" } }));
    expect(seen.shared?.problem).toBe("down");
    expect((await ask("purge", { token: seen.token })).status).toBe(503);
    await admin.close();
    await world.close();
  });
});

describe("answers", () => {
  it("are framed, sniffed, kept and run by nobody", async () => {
    const { ask } = open();
    for (const path of ["", "api/me", "api/nonsense", "nonsense"]) {
      const { headers } = await ask(path);
      expect(headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("cache-control")).toMatch(/no-store|no-cache/);
    }
  });

  it("name no file outside of the page's folder, and nothing that is no route", async () => {
    const { ask } = open();
    for (const path of [
      "../package.json",
      "..%2fpackage.json",
      "assets/../index.js",
      "api/constructor",
      "api/__proto__",
    ])
      expect((await ask(path)).status).toBe(404);
    expect((await ask("api/me", { body: {} })).status).toBe(405);
    expect((await ask("api/overview?cache=other")).status).toBe(404);
  });

  it("under a path are found there, and the path itself leads to its slash", async () => {
    const { admin } = open({ path: "/ops/cache" });
    const get = (path: string): Promise<Response> =>
      admin.fetch(new Request(`http://localhost${path}`, { headers: { authorization: `Bearer ${TOKENS.admin}` } }));
    expect((await get("/ops/cache")).headers.get("location")).toBe("/ops/cache/");
    expect((await get("/ops/cache/api/me")).status).toBe(200);
  });
});

describe("the stream", () => {
  async function read(response: Response): Promise<{ next(): Promise<string>; end(): Promise<void> }> {
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    return {
      next: async () => new TextDecoder().decode((await reader.read()).value),
      end: () => reader.cancel(),
    };
  }

  it("tells what is new each second, and what was missed to those who come back", async () => {
    const { ask, cache, clock } = open();
    const first = await ask("api/live");
    expect(first.headers.get("content-type")).toContain("text/event-stream");
    const stream = await read(first);
    expect(await stream.next()).toBe("retry: 2000\n\n");
    await cache.getOrLoad("k", async () => 1);
    await clock.advance(1_000);
    const message = await stream.next();
    expect(message).toMatch(/^id: [0-9a-f]{8}-1\nevent: reports\ndata: \{/);
    const data = JSON.parse(message.split("data: ")[1] ?? "") as {
      reports: { stats: { total: { gets: number } }; sampled: unknown }[];
    };
    expect(data.reports[0]?.stats.total.gets).toBe(1);
    await stream.end();

    const [, id] = /^id: (\S+)/.exec(message) ?? [];
    await clock.advance(3_000);
    const again = await read(await ask("api/live", { headers: { "last-event-id": id ?? "" } }));
    await again.next();
    expect(await again.next()).toContain(`id: ${id?.replace("-1", "-2")}`);
    expect(await again.next()).toContain(`id: ${id?.replace("-1", "-3")}`);
    await again.end();

    const other = await read(await ask("api/live", { headers: { "last-event-id": "00000000-7" } }));
    await other.next();
    expect(await other.next()).toContain("event: reset");
    await other.end();
  });

  it("has a heartbeat every 15 seconds", async () => {
    const { ask, clock } = open();
    const stream = await read(await ask("api/live"));
    await clock.advance(15_001);
    let text = "";
    while (!text.includes(": still here")) text = await stream.next();
    expect(text).toBe(": still here\n\n");
    await stream.end();
  });

  it("ends for a page that takes more than a megabyte too long to read", async () => {
    const { ask, cache, clock } = open();
    const response = await ask("api/live");
    for (let second = 0; second < 40; second += 1) {
      for (let note = 0; note < 200; note += 1) await cache.invalidate({ tag: `${"x".repeat(200)}${second}-${note}` });
      await clock.advance(1_000);
    }
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let length = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) length += part.value.length;
    expect(length).toBeGreaterThan(1_000_000);
    expect(length).toBeLessThan(1_300_000);
  });

  it("is for 32 pages, and a page that leaves makes room", async () => {
    const { ask } = open();
    const streams = await Promise.all(Array.from({ length: 32 }, async () => read(await ask("api/live"))));
    expect((await ask("api/live")).status).toBe(503);
    await streams[0]?.end();
    const next = await ask("api/live");
    expect(next.status).toBe(200);
    await next.body?.cancel();
    for (const stream of streams.slice(1)) await stream.end();
  });

  it("makes the cache tell of its hits only while somebody looks", async () => {
    const { ask, cache, clock } = open();
    await cache.set("k", 1);
    await cache.get("k");
    const stream = await read(await ask("api/live"));
    for (let i = 0; i < 80; i += 1) await cache.get("k");
    const looked = await json<{ sampled?: { mostRead: { key: string; count: number }[] } }>(await ask("api/overview"));
    expect(looked.sampled?.mostRead).toEqual([{ key: "k", entity: "", count: 80 }]);
    await stream.end();
    await clock.advance(20_000);
    const later = await json<{ sampled?: { mostRead: unknown[] } }>(await ask("api/overview"));
    // It was forgotten with the last look, and begins anew with this one.
    expect(later.sampled?.mostRead).toEqual([]);
  });
});
