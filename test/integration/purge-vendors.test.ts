import { createHmac, createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { surrogateKey } from "../../src/http/headers/index.js";
import {
  cloudflare,
  cloudFront,
  fastly,
  forwardInvalidations,
  type HttpPurger,
  type PurgeEvent,
  type PurgeQueueOptions,
} from "../../src/http/purge/index.js";
import { createCache, memory } from "../../src/index.js";
import { FakeClock } from "../../src/testing/index.js";

/*
 * Servers that speak what the vendors document: paths, methods, headers, bodies, limits, and their answers to what is wrong.
 */

const TOKEN = "s3cret-token";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An API on a free port, gone with the test. */
async function api(
  answer: (asked: Asked, number: number) => Answer | "hang" | "cut",
): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const one = { method, path: url, headers, body: Buffer.concat(chunks).toString("utf8") };
      asked.push(one);
      const said = answer(one, asked.length);
      if (said === "hang") return;
      if (said === "cut") return void request.socket.destroy();
      response.writeHead(said.status, said.headers).end(said.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function fastlyApi({ method, path, headers, body }: Asked): Answer {
  if (headers["fastly-key"] !== TOKEN)
    return { status: 401, body: `{"msg":"bad token ${String(headers["fastly-key"])}"}` };
  if (method !== "POST") return { status: 405, body: "{}" };
  if (path === "/service/SVC/purge") {
    const keys = (JSON.parse(body) as { surrogate_keys: string[] }).surrogate_keys;
    if (keys.length > 256) return { status: 400, body: '{"msg":"too many keys"}' };
    return { status: 200, body: JSON.stringify(Object.fromEntries(keys.map((key, n) => [key, `id-${n}`]))) };
  }
  const isOne = path === "/service/SVC/purge_all" || path.startsWith("/purge/");
  return isOne ? { status: 200, body: '{"status":"ok","id":"1-2-3"}' } : { status: 404, body: "{}" };
}

function cloudflareApi({ method, path, headers, body }: Asked): Answer {
  const refused = (status: number, code: number, message: string): Answer => ({
    status,
    body: JSON.stringify({ success: false, errors: [{ code, message }], messages: [], result: null }),
  });
  if (headers.authorization !== `Bearer ${TOKEN}`)
    return refused(403, 10000, `Authentication error ${String(headers.authorization)}`);
  if (method !== "POST" || !/^\/client\/v4\/zones\/ZONE\/(purge|invalidate)_cache$/.test(path))
    return refused(404, 7003, "route");
  const { purge_everything: everything, ...lists } = JSON.parse(body) as Record<string, unknown>;
  const [list] = Object.values(lists);
  if (everything !== true && (Object.keys(lists).length !== 1 || !Array.isArray(list) || list.length > 100)) {
    return refused(400, 1094, "Unable to purge more than 100");
  }
  return { status: 200, body: '{"success":true,"errors":[],"messages":[],"result":{"id":"x"}}' };
}

const CREDENTIALS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "very/secret+key" };

/** Checks the signature as AWS does: from the request as it came, by its own arithmetic. */
function signedBy(asked: Asked): boolean {
  const parts =
    /Credential=([^/]+)\/(\d+)\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      asked.headers.authorization ?? "",
    );
  if (parts === null) return false;
  const [, id, day = "", region = "", service = "", names = "", signature] = parts;
  const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
  const lines = names.split(";").map((name) => `${name}:${String(asked.headers[name]).trim()}\n`);
  const canonical = `${asked.method}\n${asked.path}\n\n${lines.join("")}\n${names}\n${sha(asked.body)}`;
  const date = String(asked.headers["x-amz-date"]);
  const text = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${service}/aws4_request\n${sha(canonical)}`;
  let key: Buffer | string = `AWS4${CREDENTIALS.secretAccessKey}`;
  for (const part of [day, region, service, "aws4_request"]) key = createHmac("sha256", key).update(part).digest();
  const own = createHmac("sha256", key).update(text).digest("hex");
  const isHere =
    names.includes("host") && names.includes("x-amz-date") && service === "cloudfront" && region === "us-east-1";
  return isHere && id === CREDENTIALS.accessKeyId && own === signature;
}

function cloudFrontApi(asked: Asked): Answer {
  const failed = (status: number, code: string): Answer => ({
    status,
    body: `<?xml version="1.0"?><ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code></Error></ErrorResponse>`,
  });
  if (!signedBy(asked)) return failed(403, "SignatureDoesNotMatch");
  if (asked.method !== "POST" || asked.path !== "/2020-05-31/distribution/DIST/invalidation")
    return failed(404, "NoSuchDistribution");
  const items = itemsOf(asked);
  if (!asked.body.includes(`<Quantity>${items.length}</Quantity>`)) return failed(400, "InconsistentQuantities");
  if (items.length > 3_000) return failed(413, "BatchTooLarge");
  if (items.filter((item) => item.endsWith("*")).length > 15) return failed(400, "TooManyInvalidationsInProgress");
  if (!items.every((item) => /^[/#]/.test(item))) return failed(400, "InvalidArgument");
  return { status: 201, body: "<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>" };
}

function itemsOf({ body }: Asked): string[] {
  return Array.from(body.matchAll(/<Path>(.*?)<\/Path>/g), ([, item = ""]) =>
    item.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))),
  );
}

const queue = (options: PurgeQueueOptions = {}): PurgeQueueOptions => ({
  window: 5,
  retryDelay: 5,
  maxRetryDelay: 20,
  perSecond: 10_000,
  burst: 10_000,
  ...options,
});

function closing<T extends HttpPurger>(purger: T): T {
  onTestFinished(() => purger.close());
  return purger;
}

describe("fastly", () => {
  const made = (url: string, options?: PurgeQueueOptions, token = TOKEN) =>
    closing(fastly({ serviceId: "SVC", token, api: url, queue: queue(options) }));

  it("purges keys 256 at a time, URLs and all, softly where it can", async () => {
    const { url, asked } = await api(fastlyApi);
    const keys = Array.from({ length: 300 }, (_, n) => ({ tag: surrogateKey("contact", n, "acme") }));
    const report = await made(url).purge([...keys, { url: "https://www.example.org/a?b=1#c" }], { mode: "soft" });
    expect([report.acknowledged.length, report.failed]).toEqual([301, []]);
    expect(asked.map(({ path }) => path).sort()).toEqual([
      "/purge/www.example.org/a?b=1",
      "/service/SVC/purge",
      "/service/SVC/purge",
    ]);
    expect(asked.map(({ headers }) => headers["fastly-soft-purge"])).toEqual(["1", "1", "1"]);
    expect((await made(url).purge({ all: true }, { mode: "soft" })).acknowledged).toEqual([{ all: true }]);
    expect(asked.at(-1)?.path).toBe("/service/SVC/purge_all");
    expect(asked.at(-1)?.headers["fastly-soft-purge"]).toBeUndefined();
  });

  it("says what the answer does not name, and what it cannot do", async () => {
    const { url } = await api(() => ({ status: 200, body: '{"a":"id"}' }));
    const report = await made(url).purge([
      { tag: "a" },
      { tag: "b" },
      { tag: "c d" },
      { prefix: "https://a.example/b" },
    ]);
    expect(report).toEqual({
      purger: "fastly",
      acknowledged: [{ tag: "a" }],
      failed: [
        { target: { tag: "b" }, reason: "not acknowledged" },
        { target: { tag: "c d" }, reason: "not a surrogate key" },
        { target: { prefix: "https://a.example/b" }, reason: "Fastly does not purge by prefix" },
      ],
    });
  });

  it("tries again after 429, 503, a cut connection and no answer, and not after a refusal; and never shows the token", async () => {
    const events: PurgeEvent[] = [];
    const { url, asked } = await api((one, number) => {
      const failures: readonly (Answer | "hang" | "cut")[] = [
        { status: 429, body: "", headers: { "retry-after": "0" } },
        { status: 503, body: `oh no ${TOKEN}` },
        "cut",
        "hang",
      ];
      return failures[number - 1] ?? fastlyApi(one);
    });
    const purger = made(url, { timeout: 200, onEvent: (event) => events.push(event) });
    expect((await purger.purge({ tag: "a" })).acknowledged).toEqual([{ tag: "a" }]);
    expect(asked).toHaveLength(5);
    const wrong = "wr0ng-token";
    const refused = await made(url, { onEvent: (event) => events.push(event) }, wrong).purge({ tag: "a" });
    expect(refused.failed).toEqual([{ target: { tag: "a" }, reason: "answered 401" }]);
    expect(asked).toHaveLength(6);
    const said = JSON.stringify([events, refused]);
    expect(said).not.toContain(TOKEN);
    expect(said).not.toContain(wrong);
    expect(() => fastly({ serviceId: "S", token: "has blanks secret" })).toThrow(
      'Expected `token` to be visible ASCII text, got `"…"`',
    );
  });
});

describe("cloudflare", () => {
  const made = (url: string, token = TOKEN, options?: PurgeQueueOptions) =>
    closing(cloudflare({ zoneId: "ZONE", token, api: `${url}/client/v4`, queue: queue(options) }));

  it("purges and invalidates files, tags, prefixes and all, 100 in a request", async () => {
    const { url, asked } = await api(cloudflareApi);
    const tags = Array.from({ length: 250 }, (_, n) => ({ tag: `t${n}` }));
    const targets = [...tags, { url: "https://www.example.org/a?b" }, { prefix: "https://www.example.org/c/" }];
    expect((await made(url).purge(targets)).failed).toEqual([]);
    // Four requests are under way at once, so they come in any order.
    const bodies = asked.map(({ body }) => JSON.parse(body) as Readonly<Record<string, readonly string[]>>);
    expect(bodies.map(({ tags: some }) => some?.length ?? 0).sort((a, b) => a - b)).toEqual([0, 0, 50, 100, 100]);
    expect(bodies.filter(({ tags: some }) => some === undefined)).toHaveLength(2);
    expect(bodies).toContainEqual({ files: ["https://www.example.org/a?b"] });
    expect(bodies).toContainEqual({ prefixes: ["www.example.org/c"] });
    await made(url).purge({ all: true }, { mode: "soft" });
    expect([asked.at(-1)?.path, asked.at(-1)?.body]).toEqual([
      "/client/v4/zones/ZONE/invalidate_cache",
      '{"purge_everything":true}',
    ]);
  });

  it("says what it answered, without the token it repeats", async () => {
    const { url } = await api(cloudflareApi);
    const report = await made(url, "wr0ng").purge({ tag: "a" });
    expect(report.failed[0]?.reason).toBe("answered 403: 10000 Authentication error Bearer [secret]");
    const odd = await api(() => ({ status: 200, body: '{"success":false,"errors":[{"code":1,"message":"no"}]}' }));
    expect((await made(odd.url).purge({ tag: "a" })).failed[0]?.reason).toBe("answered 200 and no success: 1 no");
    const html = await api(() => ({ status: 200, body: "<html>a captive portal</html>" }));
    expect((await made(html.url).purge({ tag: "a" })).failed).toHaveLength(1);
  });

  it("keeps to the plan's rate: a burst of 25, then 5 a minute", async () => {
    const { url, asked } = await api(cloudflareApi);
    const clock = new FakeClock({ now: 0, wall: 0 });
    const options = { zoneId: "ZONE", token: TOKEN, api: `${url}/client/v4`, perRequest: 1, queue: { clock } };
    const report = cloudflare(options).purge(Array.from({ length: 27 }, (_, n) => ({ tag: `t${n}` })));
    await clock.advance(20);
    for (const expected of [25, 26, 27]) {
      await expect.poll(() => asked.length).toBe(expected);
      // As many as the rate allows, and no more come.
      await new Promise((resolve) => setImmediate(resolve));
      expect(asked).toHaveLength(expected);
      await clock.advance(12_000);
    }
    expect((await report).acknowledged).toHaveLength(27);
  });
});

describe("cloudFront", () => {
  const made = (url: string, options?: PurgeQueueOptions, credentials = CREDENTIALS) =>
    closing(cloudFront({ distributionId: "DIST", credentials, api: url, queue: queue(options) }));

  it("signs, and invalidates paths, prefixes and tags within its limits", async () => {
    const { url, asked } = await api(cloudFrontApi);
    const paths = Array.from({ length: 3_100 }, (_, n) => ({ url: `https://www.example.org/a/${n}` }));
    const prefixes = Array.from({ length: 20 }, (_, n) => ({ prefix: `https://www.example.org/p${n}/` }));
    const odd = [{ url: "https://www.example.org/x*?a=1&b=<2>" }, { tag: surrogateKey("contact", 7, "acme") }];
    const report = await made(url).purge([...paths, ...prefixes, ...odd]);
    expect([report.acknowledged.length, report.failed]).toEqual([3_122, []]);
    expect(asked.map((one) => itemsOf(one).length)).toEqual([15, 5, 3_000, 102]);
    expect(itemsOf(asked[0] as Asked)[0]).toBe("/p0*");
    expect(itemsOf(asked[3] as Asked).slice(-2)).toEqual(["/x%2A?a=1&b=%3C2%3E", "#~acme:contact:7"]);
    await made(url).purge([{ all: true }]);
    expect(itemsOf(asked.at(-1) as Asked)).toEqual(["/*"]);
  });

  it("waits while too many are in progress, with the same reference, and gives up what is not signed right", async () => {
    const busy: Answer = {
      status: 400,
      body: "<ErrorResponse><Error><Code>TooManyInvalidationsInProgress</Code></Error></ErrorResponse>",
    };
    const { url, asked } = await api((one, number) => (number < 3 ? busy : cloudFrontApi(one)));
    expect((await made(url).purge({ tag: "a" })).acknowledged).toEqual([{ tag: "a" }]);
    const references = asked.map(({ body }) => /<CallerReference>(.*?)</.exec(body)?.[1]);
    expect([references.length, new Set(references).size]).toEqual([3, 1]);
    const wrong = await made(url, {}, { ...CREDENTIALS, secretAccessKey: "wrong" }).purge({ tag: "a" });
    expect(wrong.failed).toEqual([{ target: { tag: "a" }, reason: "answered 403: SignatureDoesNotMatch" }]);
    const none = closing(
      cloudFront({
        distributionId: "DIST",
        api: url,
        queue: queue({ attempts: 2 }),
        credentials: () => Promise.reject(new Error("very/secret+key")),
      }),
    );
    expect((await none.purge({ tag: "a" })).failed[0]?.reason).toBe("no credentials");
  });
});

describe("an entity's invalidation", () => {
  it("reaches three CDNs by the same key, in their order", async () => {
    const order: string[] = [];
    const servers = await Promise.all(
      [fastlyApi, cloudflareApi, cloudFrontApi].map((answer, n) =>
        api((asked) => {
          order.push(`${n}`);
          return answer(asked);
        }),
      ),
    );
    const [one = "", two = "", three = ""] = servers.map(({ url }) => url);
    const cache = createCache({ tiers: [memory()] });
    onTestFinished(() => cache.close());
    const purgers = [
      fastly({ serviceId: "SVC", token: TOKEN, api: one, queue: queue() }),
      cloudflare({ zoneId: "ZONE", token: TOKEN, api: `${two}/client/v4`, queue: queue() }),
      cloudFront({ distributionId: "DIST", credentials: CREDENTIALS, api: three, queue: queue() }),
    ].map(closing);
    const forwarding = forwardInvalidations(cache, purgers, { by: "every" });
    onTestFinished(() => forwarding.close());
    await cache.entity({ name: "contact", scope: "tenant" }).in("acme").invalidate(7);
    const reports = await forwarding.flush();
    expect(reports.map(({ acknowledged }) => acknowledged)).toEqual(purgers.map(() => [{ tag: "~acme:contact:7" }]));
    expect(order).toEqual(["0", "1", "2"]);
  });
});
