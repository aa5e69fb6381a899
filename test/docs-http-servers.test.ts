import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

const page = readFileSync(new URL("../docs/http-servers.md", import.meta.url), "utf8");
const root = new URL("..", import.meta.url).pathname;
const ENTRIES: Readonly<Record<string, string>> = {
  "tiercache/http": "src/http/index.ts",
  "tiercache/express": "src/frameworks/express.ts",
  "tiercache/fastify": "src/frameworks/fastify.ts",
  "tiercache/hono": "src/frameworks/hono.ts",
  tiercache: "src/index.ts",
};

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** The page's example under a heading as a module that exports these names. */
async function example(heading: string, names: string): Promise<Record<string, unknown>> {
  const code = new RegExp(`^## ${heading}\\n[^]*?\`\`\`ts\\n([^]*?)\`\`\``, "m").exec(page)?.[1] ?? "";
  const source = code.replaceAll(
    /from "(tiercache[^"]*)"/g,
    (_, name: string) => `from "${join(root, ENTRIES[name] ?? "")}"`,
  );
  // Within the project: its imports are found from where it lies.
  mkdirSync(join(root, ".tmp"), { recursive: true });
  const folder = mkdtempSync(join(root, ".tmp", "docs-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "example.ts");
  writeFileSync(file, `${source}\nexport { ${names} };\n`);
  const module = (await import(/* @vite-ignore */ file)) as Record<string, unknown>;
  closing.push(() => (module["cache"] as { close(): Promise<void> }).close());
  return module;
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function expectHit(ask: () => Promise<Response>): Promise<void> {
  const first = await (await ask()).text();
  const second = await ask();
  expect(second.headers.get("cache-status")).toContain(";hit");
  expect(await second.text()).toBe(first);
}

describe("docs/http-servers.md", () => {
  it("has an example of node:http that caches", async () => {
    const { server } = await example("node:http", "cache, server");
    const url = await listening(server as Server);
    await expectHit(() => fetch(`${url}/a`));
  });

  it("has an example of Express that caches", async () => {
    const { app } = await example("Express", "cache, app");
    const url = await listening(createServer(app as RequestListener));
    await expectHit(() => fetch(`${url}/api/countries`));
  });

  it("has an example of Fastify that caches", async () => {
    const { app } = await example("Fastify", "cache, app");
    const server = app as { listen(options: object): Promise<string>; close(): Promise<void> };
    const url = await server.listen({ port: 0, host: "127.0.0.1" });
    closing.push(() => server.close());
    await expectHit(() => fetch(`${url}/countries`));
  });

  it("has an example of Hono that caches", async () => {
    const { app } = await example("Hono", "cache, app");
    const hono = app as { request(path: string): Promise<Response> };
    await expectHit(() => hono.request("http://a.example/countries"));
  });
});
