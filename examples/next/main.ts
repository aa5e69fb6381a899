import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { makeAppFolder, NEXT_ENVIRONMENT, nextProgram } from "./app-folder.js";

/** Builds the application with Next.js, starts it, and shows what is rendered again and what is not. */
async function main(): Promise<void> {
  let articles = 0;
  const source = createServer((_request, response) => response.end(`Article ${(articles += 1)}`));
  const newsUrl = await listening(source);
  const folder = await makeAppFolder();
  const settings = { cwd: folder, env: { ...process.env, ...NEXT_ENVIRONMENT, NEWS_URL: newsUrl } };
  let app: ChildProcess | undefined;
  try {
    await succeeded(
      spawn(process.execPath, [nextProgram(), "build", "--webpack"], { ...settings, stdio: ["ignore", 2, 2] }),
    );
    const port = await freePort();
    const start = [nextProgram(), "start", "-H", "127.0.0.1", "-p", String(port)];
    app = spawn(process.execPath, start, { ...settings, stdio: ["ignore", 2, 2] });
    await walkThrough(`http://127.0.0.1:${port}`, app);
  } finally {
    if (app?.exitCode === null) {
      app.kill("SIGTERM");
      await once(app, "exit");
    }
    source.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function walkThrough(url: string, app: ChildProcess): Promise<void> {
  const page = async (path: string): Promise<{ readonly text: string; readonly rendered: string }> => {
    const html = await (await fetch(`${url}${path}`)).text();
    const [, text = "?", rendered = "?"] = /<p>([^<]*)(?:<!-- -->)?, rendered (?:<!-- -->)?([\d.]+)/.exec(html) ?? [];
    return { text, rendered };
  };
  const change = async (query: string): Promise<void> => {
    await fetch(`${url}/rename?${query}`, { method: "POST" });
  };
  const show = async (what: string, path: string): Promise<void> => {
    const [first, second] = [await page(path), await page(path)];
    console.log(`${what}: ${first.text}, ${first.rendered === second.rendered ? "rendered once" : "rendered twice"}`);
  };
  await answering(url, app);
  await show("use cache", "/contacts/7");
  await change("id=7&name=Ada");
  await show("after contacts.invalidate(7)", "/contacts/7");
  await page("/contacts/8");
  const other = await page("/contacts/8");
  await change("id=7&name=Grace");
  await show("after contacts.invalidate(7)", "/contacts/7");
  console.log(
    `the page of 8: ${(await page("/contacts/8")).rendered === other.rendered ? "as it was" : "rendered again"}`,
  );
  const articleOf = async (): Promise<number> => Number(/\d+/.exec((await page("/news")).text)?.[0]);
  const first = await articleOf();
  console.log(`the news: ${(await articleOf()) === first ? "the same article twice" : "another article"}`);
  await change("tag=news");
  const second = await articleOf();
  console.log(`after cache.invalidate({ tag: "news" }): ${second > first ? "another article" : "the same article"}`);
  await change("path=/news");
  console.log(
    `after revalidatePath("/news"): ${(await articleOf()) > second ? "another article" : "the same article"}`,
  );
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await listening(probe);
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

async function succeeded(child: ChildProcess): Promise<void> {
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`The build ended with ${code}`);
}

/** At most half a minute. */
async function answering(url: string, app: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 300 && app.exitCode === null; tries += 1) {
    try {
      await (await fetch(`${url}/rename`, { method: "POST" })).text();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error("Next.js did not start");
}

await main();
