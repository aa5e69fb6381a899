import { readFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { cachedFetch } from "../../src/http/index.js";
import { surrogateKey, surrogateKeys } from "../../src/http/headers/index.js";
import { forwardInvalidations, cachedResponses, varnish } from "../../src/http/purge/index.js";
import { createCache, memory } from "../../src/index.js";
import { startVarnish, type VarnishServer } from "../support/varnish-server.js";

/** The VCL of the documentation, in front of this origin. */
function vcl(port: number): string {
  const page = readFileSync(new URL("../../docs/purge.md", import.meta.url), "utf8");
  const text = /```vcl\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  expect(text).toContain('.port = "3000"');
  return text.replace('.port = "3000"', `.port = "${port}"`);
}

let asked = 0;
const origin = createServer((request, response) => {
  asked += 1;
  const keys = new URL(request.url ?? "/", "http://a").searchParams.get("keys")?.split(",") ?? [];
  const fields = surrogateKeys(keys, ["surrogate-key", "xkey", "cache-tag"]);
  response.writeHead(200, { "cache-control": "public, max-age=3600", ...fields }).end(`body ${asked}`);
});
let server: VarnishServer;

beforeAll(async () => {
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  server = await startVarnish(vcl((origin.address() as AddressInfo).port));
}, 300_000);

afterAll(async () => {
  await server?.stop();
  origin.closeAllConnections();
  origin.close();
});

let run = 0;
beforeEach(() => {
  run += 1;
});

/** What Varnish gives for a path; paths are this test's own. */
function text(path: string, host = "www.example.org"): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const outgoing = httpRequest(`${server.url}/${run}${path}`, { headers: { host } }, (incoming) => {
      let body = "";
      incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
      incoming.on("end", () => resolve(body));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** Whether Varnish answered it, or the origin. */
async function get(path: string, host?: string): Promise<string> {
  const before = asked;
  const body = await text(path, host);
  if (asked === before) return "hit";
  return body === `body ${asked}` ? "asked" : body;
}

const url = (path: string): string => `http://www.example.org/${run}${path}`;

function purger(tags?: "xkey" | "ban") {
  const made = varnish({ servers: server.url, tags, queue: { window: 1, attempts: 1 } });
  onTestFinished(() => made.close());
  return made;
}

describe("varnish", () => {
  it("purges by URL, of one host and with its query, and nothing else", async () => {
    for (const path of ["/a", "/a?x=1", "/b"]) expect(await get(path)).toBe("asked");
    expect(await get("/a", "other.example.org")).toBe("asked");
    const report = await purger().purge({ url: url("/a") });
    expect(report).toEqual({ purger: "varnish", acknowledged: [{ url: url("/a") }], failed: [] });
    expect([await get("/a?x=1"), await get("/b"), await get("/a", "other.example.org"), await get("/a")]).toEqual([
      "hit",
      "hit",
      "hit",
      "asked",
    ]);
  });

  for (const by of ["xkey", "ban"] as const) {
    it(`purges by tag (${by}), exactly that tag, several in a request`, async () => {
      const key = surrogateKey("contact", 7, `t${run}`);
      const other = surrogateKey("contact", 70, `t${run}`);
      const odd = `a.b+c(${run})`;
      const paths = [key, other, odd, `axb+c(${run})`].map((one) => `/?keys=z,${encodeURIComponent(one)}`);
      for (const path of paths) await get(path);
      const report = await purger(by).purge([{ tag: key }, { tag: odd }, { tag: "nobody's" }]);
      expect(report.acknowledged).toHaveLength(3);
      expect(await Promise.all([get(paths[1] ?? ""), get(paths[3] ?? "")])).toEqual(["hit", "hit"]);
      expect([await get(paths[0] ?? ""), await get(paths[2] ?? "")]).toEqual(["asked", "asked"]);
    });
  }

  it("makes stale softly: what it has is given while it asks the origin", async () => {
    const key = `soft${run}`;
    const path = `/?keys=${key}`;
    for (const target of [{ tag: key }, { url: url(path) }]) {
      const old = await text(path);
      const before = asked;
      expect((await purger().purge(target, { mode: "soft" })).failed).toEqual([]);
      expect(await text(path)).toBe(old);
      await expect.poll(() => asked).toBe(before + 1);
      await expect.poll(() => text(path)).toBe(`body ${before + 1}`);
    }
  });

  it("purges by prefix, by whole segments, and everything", async () => {
    const paths = ["/p", "/p/q", "/p?x", "/pq", "/o"];
    for (const path of paths) await get(path);
    await purger().purge({ prefix: url("/p/") });
    expect(await Promise.all(["/pq", "/o"].map((path) => get(path)))).toEqual(["hit", "hit"]);
    for (const path of ["/p", "/p/q", "/p?x"]) expect(await get(path)).toBe("asked");
    await purger().purge({ all: true });
    for (const path of paths) expect(await get(path)).toBe("asked");
  });

  it("says that nothing was purged when one of the servers is away", async () => {
    const both = varnish({
      servers: [server.url, "http://127.0.0.1:9"],
      queue: { window: 1, attempts: 2, retryDelay: 1 },
    });
    onTestFinished(() => both.close());
    const report = await both.purge({ url: url("/a") });
    expect(report.acknowledged).toEqual([]);
    expect(report.failed[0]?.reason).toMatch(/^not reached \(ECONNREFUSED\)$/);
  });

  it("is purged with our own cache behind it, and with our own cache in front of it, by an entity's invalidation", async () => {
    const cache = createCache({ tiers: [memory()] });
    onTestFinished(() => cache.close());
    const contacts = cache.entity({ name: "contact", scope: "tenant" }).in(`t${run}`);
    const path = `/contact?keys=${encodeURIComponent(surrogateKey("contact", 7, `t${run}`))}`;
    // In front: our shared cache asks Varnish. Behind: Varnish asks a proxy that answers from our cache.
    const front = cachedFetch(cache, { shared: true });
    const originUrl = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    const behind = cachedFetch(cache, { shared: true });
    const proxy = createServer((request, response) => {
      void behind(originUrl + String(request.url)).then(async (answer) => {
        const names = ["cache-control", "xkey", "surrogate-key"];
        for (const name of names) response.setHeader(name, answer.headers.get(name) ?? "");
        response.end(await answer.text());
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    const outer = await startVarnish(vcl((proxy.address() as AddressInfo).port));
    onTestFinished(() => outer.stop());
    const forwarding = forwardInvalidations(
      cache,
      [
        cachedResponses(cache),
        varnish({ servers: [server.url, outer.url], queue: { window: 1 } }),
        // Once more, as what was in front may have asked Varnish before that was purged.
        cachedResponses(cache),
      ],
      { by: "every" },
    );
    onTestFinished(() => forwarding.close());
    const both = async (): Promise<string[]> => [
      await (await front(`${server.url}/${run}${path}`)).text(),
      await (await fetch(`${outer.url}/${run}${path}`)).text(),
    ];
    const [first, second] = [await both(), await both()];
    expect(second).toEqual(first);
    await contacts.invalidate(7);
    const reports = await forwarding.flush();
    expect(reports.flatMap(({ failed }) => failed)).toEqual([]);
    const third = await both();
    expect(third[0]).not.toBe(first[0]);
    expect(third[1]).not.toBe(first[1]);
    expect(await both()).toEqual(third);
  });
});
