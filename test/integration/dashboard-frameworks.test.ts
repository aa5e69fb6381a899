import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { afterEach, describe, expect, it } from "vitest";
import { expressApp } from "../../examples/dashboard/express.js";
import { fastifyApp } from "../../examples/dashboard/fastify.js";
import { honoApp } from "../../examples/dashboard/hono.js";
import { httpServer } from "../../examples/dashboard/http.js";
import { createAdmin, type Admin } from "../../src/admin/index.js";
import { createCache } from "../../src/index.js";

const TOKEN = "frameworks-token-0123";
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

function portOf(server: { address(): unknown }): number {
  return (server.address() as AddressInfo).port;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return portOf(server);
}

/** The admin side under /cache of a server of each kind, as docs/dashboard.md shows it; each has a route of its own beside it. */
const SERVERS: Readonly<Record<string, (admin: Admin) => Promise<number>>> = {
  "node:http": (admin) => listening(httpServer(admin)),
  "Express 5": (admin) => listening(createServer(expressApp(admin))),
  "Fastify 5": async (admin) => {
    const app = await fastifyApp(admin);
    await app.listen({ port: 0, host: "127.0.0.1" });
    ends.push(
      () => app.server.closeAllConnections(),
      () => void app.server.close(),
    );
    return portOf(app.server);
  },
  Hono: (admin) =>
    new Promise((resolve) => {
      const server = serve({ fetch: honoApp(admin).fetch, port: 0, hostname: "127.0.0.1" }, (info) =>
        resolve(info.port),
      );
      ends.push(
        () => (server as Server).closeAllConnections(),
        () => void server.close(),
      );
    }),
};

describe.each(Object.entries(SERVERS))("mounted in %s", (_name, start) => {
  async function open(): Promise<{ base: string; cache: ReturnType<typeof createCache> }> {
    const cache = createCache({ name: "crm" });
    const admin = createAdmin(cache, { environment: "test", tokens: { admin: TOKEN }, path: "/cache" });
    ends.push(
      () => admin.close(),
      () => cache.close(),
    );
    return { base: `http://127.0.0.1:${await start(admin)}`, cache };
  }

  it("answers under its path, takes bodies and cookies, streams, and leaves the rest alone", async () => {
    const { base, cache } = await open();
    await cache.set("user:1", 1);
    expect(await (await fetch(`${base}/own`)).text()).toBe("own");
    expect((await fetch(`${base}/cache`, { redirect: "manual" })).headers.get("location")).toBe("/cache/");
    expect((await fetch(`${base}/cache/`)).headers.get("content-type")).toContain("text/html");
    expect((await fetch(`${base}/cache/api/me`)).status).toBe(401);

    const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${base}/cache/api/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    const session = await post("session", { token: TOKEN });
    const cookie = session.headers.get("set-cookie")?.split(";")[0] ?? "";
    expect(session.headers.get("set-cookie")).toContain("Path=/cache;");

    const previewed = await post("preview", { target: { kind: "key", text: "user:1" }, soft: false }, { cookie });
    const { token, memory } = (await previewed.json()) as { token: string; memory: { entries: number } };
    expect(memory.entries).toBe(1);
    expect((await post("purge", { token }, { cookie })).status).toBe(200);
    expect(cache.peek("user:1")).toBeUndefined();

    const gone = new AbortController();
    const live = await fetch(`${base}/cache/api/live`, { headers: { cookie }, signal: gone.signal });
    expect(live.headers.get("content-type")).toContain("text/event-stream");
    const reader = (live.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    while (!text.includes("event: reports")) text += new TextDecoder().decode((await reader.read()).value);
    gone.abort();
    expect(text).toContain('"cache":"crm"');
  });

  it("is not reached by another name, nor by another site's page", async () => {
    const { base } = await open();
    const { port } = new URL(base);
    const { request } = await import("node:http");
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request(
        {
          host: "127.0.0.1",
          port,
          path: "/cache/api/me",
          headers: { host: "evil.example", authorization: `Bearer ${TOKEN}` },
        },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      asked.once("error", reject);
      asked.end();
    });
    expect(status).toBe(403);
    const headers = { authorization: `Bearer ${TOKEN}`, origin: "http://evil.example" };
    expect((await fetch(`${base}/cache/api/me`, { headers })).status).toBe(403);
  });
});
