import "reflect-metadata";
import { CACHE_MANAGER, CacheInterceptor, CacheModule } from "@nestjs/cache-manager";
import {
  Controller,
  Get,
  Inject,
  Module,
  Post,
  Req,
  Res,
  StreamableFile,
  UseInterceptors,
  type INestApplication,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { Cache as CacheManager } from "cache-manager";
import Keyv from "keyv";
import { afterEach, describe, expect, it } from "vitest";
import { createCache, memory, type Cache } from "../index.js";
import { keyvStore } from "./keyv.js";
import { CacheResponse, TIERCACHE, TiercacheModule, type CacheResponseOptions, type NestRequest } from "./nest.js";

type Handler = (request: NestRequest & { res: { setHeader(name: string, value: string): void } }) => unknown;

/** A controller without the syntax of decorators, which the test runner leaves as it is. */
function controllerOf(
  handler: Handler,
  decorators: readonly MethodDecorator[],
  method = Get("*path"),
): new () => object {
  class Answers {
    answer(request: Parameters<Handler>[0]): unknown {
      return handler(request);
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Answers.prototype, "answer") as PropertyDescriptor;
  for (const decorate of [method, ...decorators]) decorate(Answers.prototype, "answer", descriptor);
  Req()(Answers.prototype, "answer", 0);
  Controller()(Answers);
  return Answers;
}

/** What `@Res()` gives a handler, of Express. */
interface OwnResponse {
  json(body: unknown): void;
  status(code: number): void;
}

const apps: INestApplication[] = [];

async function start(
  imports: readonly unknown[],
  controllers: readonly unknown[],
): Promise<{ app: INestApplication; url: string }> {
  // oxlint-disable-next-line typescript/no-extraneous-class -- a module is a class
  class App {}
  Module({ imports: imports as never, controllers: controllers as never })(App);
  const app = await NestFactory.create(App, { logger: false });
  apps.push(app);
  await app.listen(0, "127.0.0.1");
  return { app, url: await app.getUrl() };
}

async function served(
  handler: Handler,
  options: CacheResponseOptions,
  method?: MethodDecorator,
): Promise<{ cache: Cache; ask: (path: string, headers?: Record<string, string>, verb?: string) => Promise<string> }> {
  const cache = createCache({ tiers: [memory()] });
  const { url } = await start(
    [TiercacheModule.forRoot({ cache })],
    [controllerOf(handler, [CacheResponse(options)], method)],
  );
  return {
    cache,
    ask: async (path, headers = {}, verb = "GET") => (await fetch(`${url}${path}`, { method: verb, headers })).text(),
  };
}

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

/** Says who asked, and how often anybody did. */
function whoAsks(): Handler {
  let count = 0;
  return (request) =>
    `${String(request.headers["authorization"] ?? request.headers["cookie"] ?? "nobody")} ${(count += 1)}`;
}

describe("CacheResponse", () => {
  it("answers the same address once, and another by its handler", async () => {
    const { ask } = await served(whoAsks(), { ttl: "1m" });
    expect([await ask("/a?x=1"), await ask("/a?x=1"), await ask("/a?x=2")]).toEqual([
      "nobody 1",
      "nobody 1",
      "nobody 2",
    ]);
  });

  it("runs the handler once for requests that come together", async () => {
    const { ask } = await served(whoAsks(), {});
    expect(new Set(await Promise.all(["/a", "/a", "/a"].map((path) => ask(path))))).toEqual(new Set(["nobody 1"]));
  });

  it("shares nothing of a request with credentials when it is not told whose it is", async () => {
    const { ask } = await served(whoAsks(), { ttl: "1m" });
    expect(await ask("/me", { authorization: "ann" })).toBe("ann 1");
    expect(await ask("/me", { authorization: "bob" })).toBe("bob 2");
    expect(await ask("/me", { cookie: "session=1" })).toBe("session=1 3");
    expect(await ask("/me")).toBe("nobody 4");
    expect(await ask("/me", { authorization: "ann" })).toBe("ann 5");
  });

  it("keeps users apart by the scope it is given", async () => {
    const { ask } = await served(whoAsks(), { scope: ({ headers }) => String(headers["authorization"] ?? "guest") });
    expect(await ask("/me", { authorization: "ann" })).toBe("ann 1");
    expect(await ask("/me", { authorization: "bob" })).toBe("bob 2");
    expect(await ask("/me", { authorization: "ann" })).toBe("ann 1");
  });

  it("refuses an empty scope, which would be everybody's", async () => {
    const { ask } = await served(whoAsks(), { scope: () => "" });
    expect(JSON.parse(await ask("/me", { authorization: "ann" }))).toMatchObject({ statusCode: 500 });
  });

  it("varies on the headers it is told, and on the host", async () => {
    const { ask } = await served((request) => String(request.headers["accept-language"]), {
      vary: ["Accept-Language"],
    });
    expect(await ask("/a", { "accept-language": "de" })).toBe("de");
    expect(await ask("/a", { "accept-language": "fr" })).toBe("fr");
  });

  it("forgets by tags of the value", async () => {
    let name = "old";
    const { cache, ask } = await served(() => ({ id: 7, name }), {
      tags: (value) => [["contact", (value as { id: number }).id]],
    });
    expect(await ask("/contacts/7")).toBe('{"id":7,"name":"old"}');
    name = "new";
    expect(await ask("/contacts/7")).toBe('{"id":7,"name":"old"}');
    await cache.invalidate({ tag: ["contact", 7] });
    expect(await ask("/contacts/7")).toBe('{"id":7,"name":"new"}');
  });

  it("caches no other method, no error, no cookie and nothing that is read once", async () => {
    const cases: readonly (readonly [Handler, MethodDecorator?])[] = [
      [() => "posted", Post("*path")],
      [
        () => {
          throw new Error("down");
        },
      ],
      [
        (request) => {
          request.res.setHeader("set-cookie", "session=secret");
          return "hello";
        },
      ],
      [() => new StreamableFile(Buffer.from("file"))],
    ];
    for (const [handler, method] of cases) {
      let runs = 0;
      const counted: Handler = (request) => {
        runs += 1;
        return handler(request);
      };
      const { ask } = await served(counted, { ttl: "1m" }, method);
      const verb = method === undefined ? "GET" : "POST";
      const answers = await Promise.all([ask("/x", {}, verb), ask("/x", {}, verb)]);
      expect(answers[1]).toBe(answers[0]);
      await ask("/x", {}, verb);
      expect(runs).toBeGreaterThanOrEqual(2);
    }
  });

  it("leaves answers that the handler writes itself, or gives a status, to the handler", async () => {
    const calls: string[] = [];
    const note = (path: string): { n: number } => ({ n: calls.push(path) });
    class Answers {
      now(response: OwnResponse): unknown {
        response.json(note("now"));
        return { n: 0 };
      }
      later(response: OwnResponse): void {
        setImmediate(() => response.json(note("later")));
      }
      status(response: OwnResponse): unknown {
        response.status(202);
        return note("status");
      }
    }
    for (const name of ["now", "later", "status"]) {
      const descriptor = Object.getOwnPropertyDescriptor(Answers.prototype, name) as PropertyDescriptor;
      for (const decorate of [Get(name), CacheResponse()]) decorate(Answers.prototype, name, descriptor);
      Res({ passthrough: name === "status" })(Answers.prototype, name, 0);
    }
    Controller()(Answers);
    const cache = createCache({ tiers: [memory()] });
    const { url } = await start([TiercacheModule.forRoot({ cache })], [Answers]);
    for (const n of [1, 2]) {
      for (const [name, status] of [
        ["now", 200],
        ["later", 200],
        ["status", 202],
      ] as const) {
        const answer = await fetch(`${url}/${name}`, { signal: AbortSignal.timeout(10_000) });
        expect([answer.status, await answer.json()]).toEqual([status, { n: calls.length }]);
        expect(calls.filter((one) => one === name)).toHaveLength(n);
      }
    }
    await cache.close();
  });

  it("gives nobody else what can be read once, though they asked together", async () => {
    let arrived = 0;
    let runs = 0;
    let open: () => void = () => undefined;
    const both = new Promise<void>((resolve) => (open = resolve));
    const handler: Handler = async () => {
      runs += 1;
      await both;
      return new StreamableFile(Buffer.from("file"));
    };
    const scope = (): undefined => void ((arrived += 1) === 2 && open());
    const { ask } = await served(handler, { scope });
    expect(await Promise.all([ask("/x"), ask("/x")])).toEqual(["file", "file"]);
    expect(runs).toBe(2);
  });

  it("names options that it does not know or cannot use", () => {
    expect(() => CacheResponse({ key: "x" } as never)).toThrow(/key/);
    expect(() => CacheResponse({ vary: "Accept" as never })).toThrow(/`vary`/);
    expect(() => CacheResponse({ scope: "user" as never })).toThrow(/`scope`/);
  });
});

describe("the module", () => {
  it("gives the cache to whoever injects it, and closes the one it made with the application", async () => {
    // oxlint-disable-next-line typescript/no-extraneous-class -- a module is a class
    class Settings {}
    Module({ providers: [{ provide: "TTL", useValue: "1m" }], exports: ["TTL"] })(Settings);
    class Users {
      readonly cache: Cache;
      constructor(cache: Cache) {
        this.cache = cache;
      }
    }
    Inject(TIERCACHE)(Users, undefined as never, 0);
    // oxlint-disable-next-line typescript/no-extraneous-class -- a module is a class
    class App {}
    Module({
      imports: [
        TiercacheModule.forRootAsync({
          imports: [Settings],
          inject: ["TTL"],
          useFactory: (ttl: string) => ({ name: "app", ttl }),
        }),
      ],
      providers: [Users],
    })(App);
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    const { cache } = app.get(Users);
    expect(cache.name).toBe("app");
    await cache.set("k", 1);
    await app.close();
    await expect(cache.get("k")).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it("leaves a cache open that it was given", async () => {
    const cache = createCache();
    const { app } = await start([TiercacheModule.forRoot({ cache })], []);
    expect(app.get(TIERCACHE)).toBe(cache);
    await app.close();
    await cache.set("k", 1);
    expect(await cache.get("k")).toBe(1);
  });
});

describe("the store for Keyv, in @nestjs/cache-manager", () => {
  it("is the application's cache manager, and what Nest.js' interceptor leaks between users it leaks as well", async () => {
    const cache = createCache({ tiers: [memory()] });
    const { app, url } = await start(
      [CacheModule.register({ isGlobal: true, ttl: 60_000, stores: [new Keyv({ store: keyvStore(cache) })] })],
      [controllerOf(whoAsks(), [UseInterceptors(CacheInterceptor)])],
    );
    const manager = app.get<CacheManager>(CACHE_MANAGER);
    await manager.set("k", { a: 1 });
    expect(await manager.get("k")).toEqual({ a: 1 });
    const ask = async (who: string): Promise<string> =>
      (await fetch(`${url}/me`, { headers: { authorization: who } })).text();
    // Its key is the URL alone: the reason for CacheResponse.
    expect([await ask("ann"), await ask("bob")]).toEqual(["ann 1", "ann 1"]);
    await cache.invalidate({ prefix: ["keyv"] });
    expect(await ask("bob")).toBe("bob 2");
  });
});
