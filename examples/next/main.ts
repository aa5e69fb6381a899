import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { freePort } from "../../scripts/servers/port.js";
import { findRedisServer, startRedis } from "../../scripts/servers/redis.js";
import { makeAppFolder, NEXT_ENVIRONMENT, nextProgram } from "./app-folder.js";

/** Undone in reverse, however it ends. */
const cleanups: (() => Promise<unknown>)[] = [];

/** Builds the application with Next.js, starts two processes of it on one Redis, and shows what they render again and what not. */
async function main(): Promise<void> {
  const redisUrl = await openRedis();
  const source = await openSource();
  const folder = await makeAppFolder();
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const environment = { ...process.env, ...NEXT_ENVIRONMENT, REDIS_URL: redisUrl, SOURCE_URL: source };
  const next = (...args: readonly string[]): ChildProcess =>
    spawn(process.execPath, [nextProgram(), ...args], { cwd: folder, env: environment, stdio: ["ignore", 2, 2] });

  console.error("next build: a minute on a small machine");
  const [code] = (await once(next("build"), "exit")) as [number | null];
  if (code !== 0) throw new Error(`The build ended with ${code}`);

  const processes = await Promise.all(
    [1, 2].map(async () => {
      const port = await freePort();
      const app = next("start", "-H", "127.0.0.1", "-p", String(port));
      cleanups.push(() => stopped(app));
      return new Process(`http://127.0.0.1:${port}`, app);
    }),
  );
  const [one, two] = processes;
  if (one === undefined || two === undefined) throw new Error("Expected two processes");
  await Promise.all([one.answering(), two.answering()]);
  await walkThrough(one, two);
}

async function walkThrough(one: Process, two: Process): Promise<void> {
  const first = await one.page("/contacts/7");
  console.log(
    `use cache: ${first.text}, ${(await one.page("/contacts/7")).rendered === first.rendered ? "rendered once" : "rendered twice"}`,
  );
  console.log(
    `the other process: ${(await two.page("/contacts/7")).rendered === first.rendered ? "the same" : "rendered it again"}`,
  );

  const untouched = await two.page("/contacts/8");
  await one.change("id=7&name=Ada");
  console.log(`after contacts.invalidate(7): ${(await one.page("/contacts/7")).text}`);
  console.log(`the other process: ${await two.until("/contacts/7", ({ text }) => text === "Ada")}`);
  await two.change("id=7&name=Grace");
  console.log(`and the other way: ${await one.until("/contacts/7", ({ text }) => text === "Grace")}`);
  console.log(
    `the page of 8: ${(await two.page("/contacts/8")).rendered === untouched.rendered ? "as it was" : "rendered again"}`,
  );

  await one.change("next=contacts");
  console.log(
    `after revalidateTag("contacts"), the other process: ${await two.until("/contacts/8", ({ rendered }) => rendered !== untouched.rendered, "rendered again")}`,
  );

  const article = (await one.page("/news")).text;
  console.log(
    `the news: ${(await two.page("/news")).text === article ? "the same article in both" : "another article"}`,
  );
  await one.change("tag=news");
  const second = await two.until("/news", ({ text }) => text !== article);
  console.log(
    `after cache.invalidate({ tag: "news" }), the other process: ${second === article ? second : "another article"}`,
  );
  await two.change("path=/news");
  const third = await one.until("/news", ({ text }) => text !== article && text !== second);
  console.log(`after revalidatePath("/news"), the other process: ${third === second ? third : "another article"}`);
}

interface Rendering {
  readonly text: string;
  /** When it was: another rendering, another number. */
  readonly rendered: string;
}

/** One process of the application. */
class Process {
  readonly #url: string;
  readonly #app: ChildProcess;

  constructor(url: string, app: ChildProcess) {
    this.#url = url;
    this.#app = app;
  }

  async page(path: string): Promise<Rendering> {
    const html = await (await fetch(`${this.#url}${path}`)).text();
    const [, text = "?", rendered = "?"] = /<p>([^<]*)(?:<!-- -->)?, rendered (?:<!-- -->)?([\d.]+)/.exec(html) ?? [];
    return { text, rendered };
  }

  /** What the page says once it is as expected, or after five seconds: another process hears within the delay of a message. */
  async until(path: string, expected: (page: Rendering) => boolean, name?: string): Promise<string> {
    for (let tries = 0; ; tries += 1) {
      const page = await this.page(path);
      if (expected(page)) return name ?? page.text;
      if (tries === 50) return `still ${page.text}`;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async change(query: string): Promise<void> {
    await fetch(`${this.#url}/rename?${query}`, { method: "POST" });
  }

  /** At most half a minute. */
  async answering(): Promise<void> {
    for (let tries = 0; tries < 300 && this.#app.exitCode === null; tries += 1) {
      try {
        await this.change("");
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    throw new Error("Next.js did not start");
  }
}

/** The Redis of REDIS_URL, or one of our own. */
async function openRedis(): Promise<string> {
  const given = process.env["REDIS_URL"];
  if (given !== undefined && given !== "") return given;
  const binary = findRedisServer();
  if (binary === undefined) throw new Error("Install a redis-server, or name one in REDIS_URL");
  const server = await startRedis(binary);
  cleanups.push(() => server.stop());
  return server.url;
}

/** Stands for the database: names of contacts, and news that are new each time. */
async function openSource(): Promise<string> {
  const names = new Map<string, string>();
  let articles = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (request.method === "PUT") {
      void text(request).then((name) => response.end(String(names.set(path, name).size)));
    } else if (path === "/news") {
      response.end(`Article ${(articles += 1)}`);
    } else {
      response.end(names.get(path) ?? `Contact ${path.split("/").at(-1)}`);
    }
  });
  cleanups.push(() => closed(server));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}

async function stopped(app: ChildProcess): Promise<void> {
  if (app.exitCode !== null || app.signalCode !== null) return;
  app.kill("SIGTERM");
  await once(app, "exit");
}

try {
  await main();
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
