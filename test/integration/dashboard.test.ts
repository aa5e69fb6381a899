import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { dashboardAssets } from "../../scripts/build-dashboard.js";
import { createAdmin, type Admin, type AdminOptions } from "../../src/admin/index.js";
import { createCache, memory, type Cache } from "../../src/index.js";
import { postgresFeed, postgresSink } from "../../src/postgres/index.js";
import { redis, redisJournal } from "../../src/redis/index.js";
import { hasChromium, pageFaults, startBrowser, type TestBrowser } from "../support/dashboard-browser.js";
import { startSource } from "../support/postgres-source.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { nodeRedis, type Connected } from "./redis-clients.js";

/** Where pictures of every screen go, for somebody to look at: `TIERCACHE_SCREENSHOTS=/tmp/shots`. */
const SHOTS = process.env["TIERCACHE_SCREENSHOTS"] ?? "";
const SCREENS: readonly (readonly [address: string, heading: string, shows: string])[] = [
  ["overview", "Overview", "Entities"],
  ["health", "Health", "Processes"],
  ["doctor", "Doctor", "Why it matters"],
  ["keys", "Keys", "Where to begin"],
  ["keys?kind=prefix&text=acme%3Acontact%3A", "Keys", "in the shared tier"],
  ["keys?kind=key&text=acme%3Acontact%3A1%3Av2&path=acme%3Acontact%3A1%3Av2", "Keys", "A read of it"],
  ["misses", "Why a miss", "cold"],
  ["hot", "Hot keys", "Missed most"],
  ["invalidations", "Invalidations", "Propagation, p99"],
  ["memory", "Memory", "By entity"],
  ["source", "Source and feed", "Readers per load"],
  ["purge?kind=tag&text=team%3A1&scope=acme", "Purge", "What to purge"],
  ["audit", "Audit", "Purges"],
];

/** What keys and values may hold, to the harm of a page that takes it for more than text. */
const HOSTILE: readonly string[] = [
  "<script>document.title='run'</script>",
  "<img src=x onerror=document.title='run'>",
  "javascript:alert(1)",
  "\u202Egnp.exe\u202C\u2066\u200F",
  "nul\u0000 bell\u0007 esc\u001B[31m",
  "__proto__",
  "constructor",
  "toString",
  "../../../etc/passwd",
  "%2e%2e%2f%00&x=1#/purge?kind=all",
  "x".repeat(20_000),
  "a b\n\tc",
  "\uD83D\uDE00 Ω é ",
];

const LOOKS = [
  ["light", "light", 1_280],
  ["phone", "light", 375],
  ["phone-dark", "dark", 375],
  ["dark", "dark", 1_280],
] as const;

let browser: TestBrowser;
let assets: string;

const isRunnable = hasChromium();

interface One {
  readonly cache: Cache;
  readonly admin: Admin;
  readonly url: string;
}

const ends: (() => Promise<unknown> | void)[] = [];

async function open(cache: Cache, options: AdminOptions = {}): Promise<One> {
  const admin = createAdmin(cache, { environment: "test", assets, ...options });
  const { url } = await admin.listen();
  ends.push(
    () => admin.close(),
    () => cache.close(),
  );
  return { cache, admin, url };
}

async function shoot(page: Page, name: string): Promise<void> {
  if (SHOTS === "") return;
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name.replace(/[^\w-]+/g, "-")}.png`), fullPage: true });
}

/** Shows a screen of a page that is signed in. */
async function go(page: Page, url: string, address: string): Promise<void> {
  await page.goto(`${url.split("#")[0]}#/${address}`);
}

describe.runIf(isRunnable)("the dashboard, in a browser", () => {
  beforeAll(async () => {
    [assets, browser] = await Promise.all([dashboardAssets(), startBrowser()]);
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  describe("of two processes that share a Redis", () => {
    let server: RedisServer;
    let clients: Connected[];
    let caches: Cache[];

    beforeAll(async () => {
      server = await startRedis();
      clients = await Promise.all([nodeRedis()(server.url), nodeRedis()(server.url)]);
      caches = clients.map(({ client }) => createCache({ name: "crm", tiers: [memory(), redis(client)], ttl: "1h" }));
      for (const cache of caches) await traffic(cache);
    });
    afterAll(async () => {
      await Promise.all(caches.map((cache) => cache.close()));
      for (const { close } of clients) close();
      await server.stop();
    });

    async function traffic(cache: Cache): Promise<void> {
      const contact = cache.entity<number, unknown>({
        name: "contact",
        scope: "tenant",
        version: 2,
        load: async (id: number) => ({ id, name: `Ann ${id}`, password: "hunter2" }),
        tags: () => ["team:1"],
      } as never) as never as {
        in(scope: string): { get(id: number): Promise<unknown>; invalidate(id: number): Promise<unknown> };
      };
      for (let i = 0; i < 60; i += 1) await contact.in("acme").get(i % 20);
      await contact.in("acme").invalidate(19);
    }

    /** Both have an admin side; the first one's page is opened, with its token in the link. */
    async function openPage(): Promise<{ one: One; page: Page; problems: string[] }> {
      const [first, second] = caches as [Cache, Cache];
      const [{ client }] = clients as [Connected];
      const command = "sendCommand" in client ? (...words: readonly string[]) => client.sendCommand(words) : undefined;
      const admin = createAdmin(first, { environment: "test", assets, name: "api-1", redis: command });
      const one = { cache: first, admin, url: "" };
      const other = createAdmin(second, { environment: "test", assets, name: "api-2" });
      const { url } = await one.admin.listen();
      ends.push(
        () => one.admin.close(),
        () => other.close(),
      );
      const { page, problems } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url);
      await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
      return { one: { ...one, url }, page, problems };
    }

    it(
      "takes the token out of the address, and shows every screen, dark and light, at any width, without a complaint",
      { timeout: 60_000 },
      async () => {
        const { one, page, problems } = await openPage();
        expect(page.url()).not.toContain("token");
        expect(await page.evaluate("document.cookie")).toBe("");
        await page.getByLabel("Process").getByText("all 2 processes").waitFor({ state: "attached", timeout: 15_000 });
        for (const [address, heading, shows] of SCREENS) {
          await page.setViewportSize({ width: 1_280, height: 860 });
          await go(page, one.url, address);
          await page.getByRole("heading", { level: 1, name: heading }).waitFor();
          await page.locator("main").getByText(shows, { exact: false }).first().waitFor();
          for (const [look, colorScheme, width] of LOOKS) {
            await page.emulateMedia({ colorScheme });
            await page.setViewportSize({ width, height: 812 });
            expect([address, look, await pageFaults(page)]).toEqual([address, look, []]);
            await shoot(page, `${look}-${address}`);
          }
        }
        const ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
        expect(ground).toBe("rgb(17, 18, 16)");
        expect(problems).toEqual([]);
      },
    );

    it("shows both processes or one, and what is new as it happens", async () => {
      const { page, one } = await openPage();
      const process = page.getByLabel("Process");
      await process.getByText("all 2 processes").waitFor({ state: "attached", timeout: 15_000 });
      const reads = async (): Promise<number> => {
        const texts = await page.locator("tr", { hasText: "contact" }).locator("td").allTextContents();
        return Number(texts[6]?.replaceAll(",", ""));
      };
      const both = await reads();
      await process.selectOption({ label: "api-2" });
      await expect.poll(reads).toBeLessThan(both);
      await process.selectOption("all");
      await go(page, one.url, "invalidations");
      await caches[1]?.invalidate({ tag: "news" });
      const row = page.locator("tr", { hasText: "global:news" });
      await row.waitFor();
      expect(await row.textContent()).toContain("hard");
    });

    it("finds entries, tells of one where it is and for how long, and shows no secret", async () => {
      const { page, one, problems } = await openPage();
      await go(page, one.url, "keys");
      await page.getByRole("radio", { name: "Tag" }).click();
      await page.getByLabel("The tag").fill("team:1");
      await page.getByLabel("Scope").fill("acme");
      await page.getByRole("button", { name: "Find" }).click();
      const row = page.locator("tr", { hasText: "acme:contact:3:v2" });
      await row.focus();
      await page.keyboard.press("Enter");
      await page.getByText("A read is answered from memory.").waitFor();
      const tiers = page.getByRole("table", { name: "Tiers" });
      expect(await tiers.textContent()).toMatch(/memory\s*fresh[\s\S]*shared\s*fresh/);
      const entry = await page.locator(".entry").textContent();
      expect(entry).toContain("Ann 3");
      expect(entry).toContain("[redacted]");
      expect(entry).not.toContain("hunter2");
      expect(problems).toEqual([]);
    });

    it("purges what was previewed, soft, and says so in the audit", async () => {
      const { page, one } = await openPage();
      await go(page, one.url, "purge?kind=key&text=acme%3Acontact%3A5%3Av2");
      await page.getByRole("button", { name: "Preview" }).click();
      await page.getByText("soft · key acme:contact:5:v2").waitFor();
      await page.getByRole("button", { name: "Purge 1 entry" }).click();
      await page.getByRole("status").getByText("is stale").waitFor();
      await page.getByRole("link", { name: "Audit" }).last().click();
      await page.getByText("token:admin").first().waitFor();
      const { explanation } = await one.cache.inspect().entry("acme:contact:5:v2");
      expect(explanation.tiers.map(({ state }) => state)).not.toContain("fresh");
    });

    it("asks for the cache's name before everything goes, and keeps the button shut until it is typed", async () => {
      const { page, one } = await openPage();
      await go(page, one.url, "purge");
      await page.getByRole("radio", { name: "Everything" }).click();
      await page.getByRole("button", { name: "Preview" }).click();
      const purge = page.getByRole("button", { name: /^Purge \d/ });
      await purge.waitFor();
      expect(await purge.isDisabled()).toBe(true);
      await page.locator(".confirm input").fill("crm");
      expect(await purge.isDisabled()).toBe(false);
    });

    it("shows a feed from a database and a queue of writes to it, as they go", async () => {
      const source = await startSource({ connections: 3 });
      ends.push(() => source.close());
      await source.sql("CREATE TABLE contacts (id int PRIMARY KEY, name text)");
      const [{ client }] = clients as [Connected];
      const feed = postgresFeed({ connect: source.server.url, maxStaleness: "1m" });
      const cache = createCache({ name: "fed", tiers: [memory(), redis(client)], feed });
      const { url } = await open(cache);
      const contacts = cache.entity<number, unknown>({
        name: "contact",
        load: async (id) => (await source.sql("SELECT * FROM contacts WHERE id = $1", [id])).rows[0],
      });
      feed.table<{ id: number }>("contacts", { entity: contacts, id: (row) => row.id });
      const sink = postgresSink(source.pool, { table: "contacts", key: "id" });
      await Promise.all([sink.ensure(), feed.ensure()]);
      const behind = cache.writeBehind<number, { id: number; name: string }>({
        name: "contacts",
        journal: redisJournal(client),
        sink,
        load: async () => undefined,
        flushEvery: "10m",
      });
      await feed.ready();
      const { page, problems } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url);
      await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
      await go(page, url, "source");
      const panel = (title: string): Locator =>
        page.locator("section", { has: page.getByRole("heading", { name: title }) });
      const facts = panel("Feed of changes");
      await facts.getByText("believed for 1 min").waitFor();
      const rows = (): Promise<string> => facts.locator("dt:text-is('Rows') + dd").innerText();
      const queue = async (): Promise<string> =>
        (await panel("Write-behind").locator("tbody td").allInnerTexts()).join(" ");
      await behind.put(1, { id: 1, name: "Ann" });
      await behind.put(2, { id: 2, name: "Ben" });
      await expect.poll(queue, { timeout: 15_000 }).toMatch(/^fed.contacts 2 \S.* 2 0 0 0$/);
      expect(await rows()).toBe("0");
      await behind.flush();
      await expect.poll(queue, { timeout: 15_000 }).toBe("fed.contacts 0 – 2 2 0 0");
      await expect.poll(rows, { timeout: 15_000 }).toBe("2");
      await shoot(page, "fed-source");
      expect(problems).toEqual([]);
    });

    it("shows whatever a key, a tag or a value holds as text, and at its width", async () => {
      const [{ client }] = clients as [Connected];
      const cache = createCache({ name: "hostile", tiers: [memory(), redis(client)] });
      const { url } = await open(cache);
      for (const [at, text] of HOSTILE.entries()) await cache.set([text, "k", at], [text], { tags: [text] });
      await cache.invalidate({ tag: "<img src=y onerror=document.title='run'>" });
      const { page, problems } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url);
      await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
      await page.setViewportSize({ width: 375, height: 812 });
      await go(page, url, "keys?kind=pattern&text=*%3Ak%3A*");
      const rows = page.getByRole("table", { name: "Entries" }).locator("tbody tr");
      await rows.first().waitFor();
      expect(await rows.count()).toBe(HOSTILE.length);
      expect(await pageFaults(page)).toEqual([]);
      for (const [at, text] of HOSTILE.entries()) {
        // Longer than an address may be: it is listed, and not looked at by itself.
        if (text.length > 8_192) continue;
        await page.locator(`tbody .key[title$=":k:${at}"]`).click();
        await page.locator(".entry .path", { hasText: `:k:${at}` }).waitFor();
        await page.getByText("A read is answered from memory.").waitFor();
        if (text.startsWith("<")) expect(await page.locator(".value pre").innerText()).toContain(text);
        expect(await pageFaults(page)).toEqual([]);
      }
      // What turns a text around is written out, so that no key reads as another.
      expect(await page.locator("main").innerText()).not.toMatch(/[\u200F\u202A-\u202E\u2066-\u2069]/);
      // An entry, and a tag of it, lead to itself: names that are escaped are not escaped again.
      await page.locator(".tags .chip").click();
      await rows.first().waitFor();
      expect(await rows.count()).toBe(1);
      await page.getByRole("link", { name: "Purge these…" }).click();
      await page.getByRole("button", { name: "Preview" }).click();
      await page.getByRole("button", { name: "Purge 1 entry" }).waitFor();
      for (const address of ["invalidations", "hot", "doctor", "memory"]) {
        await go(page, url, address);
        await page.locator("main .panel").first().waitFor();
        expect(await pageFaults(page)).toEqual([]);
        await shoot(page, `hostile-${address}`);
      }
      expect(
        await page.evaluate("[document.title, document.querySelectorAll('main script, main img, main b b').length]"),
      ).toEqual(["tiercache", 0]);
      expect(problems).toEqual([]);
    });

    it("finds nothing in a cache that has nothing wrong, and says what was not looked at", async () => {
      const [{ client }] = clients as [Connected];
      const cache = createCache({ name: "healthy", tiers: [memory(), redis(client)], ttl: "1m", staleIfError: "1h" });
      const { url } = await open(cache);
      const user = cache.entity<number, { id: number }>({
        name: "user",
        schema: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as never }) } },
        load: async (id) => ({ id }),
        tags: ({ id }) => [`team:${id}`],
      });
      for (let read = 0; read < 100; read += 1) await user.get(read % 3);
      const { page, problems } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url);
      await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
      await page.getByRole("link", { name: "Doctor" }).click();
      await page.getByText("Nothing found").waitFor();
      const text = await page.locator("main").innerText();
      expect(text).toContain("REDIS_URL=… npx tiercache doctor --name healthy");
      expect(text).toContain("100 reads by 1 process were hits");
      await shoot(page, "healthy-doctor");
      expect(problems).toEqual([]);
    });

    it("is used by keyboard alone", async () => {
      const { page } = await openPage();
      await page.keyboard.press("Tab");
      expect(await page.evaluate("document.activeElement?.textContent")).toBe("To the content");
      for (let link = 0; link < 4; link += 1) await page.keyboard.press("Tab");
      expect(await page.evaluate("document.activeElement?.textContent")).toBe("Keys");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor();
      const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
      expect(outline).toBe("solid");
    });

    it("says what to look at while the shared tier is away, and that it is back", async () => {
      const { page, one } = await openPage();
      server.pause();
      try {
        const alert = page.getByRole("alert");
        await expect
          .poll(
            async () => {
              await caches[0]?.get(`probe:${Math.random()}`);
              return alert.count();
            },
            { timeout: 15_000 },
          )
          .toBe(1);
        await go(page, one.url, "health");
        await page.getByRole("heading", { name: "redis does not answer" }).waitFor();
        await page.getByText("did not answer", { exact: false }).first().waitFor();
        await shoot(page, "down-health");
      } finally {
        server.resume();
      }
      await page
        .getByRole("heading", { name: "redis does not answer" })
        .waitFor({ state: "detached", timeout: 15_000 });
    });
  });

  describe("where there is nothing to show", () => {
    it("says the exact next step, on every screen", async () => {
      const { url } = await open(createCache({ name: "empty" }), { environment: "production" });
      const { page, problems } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url);
      await page.getByRole("heading", { level: 1 }).waitFor();
      expect(await page.locator(".badge").textContent()).toBe("production");
      for (const [address, title, step] of [
        ["overview", "Nobody has read from “empty”", "cache.getOrLoad("],
        ["health", "None: this is memory of one process", "tiers: [memory(), redis(client)]"],
        ["doctor", "each process loads for itself", "tiers: [memory(), redis(client)]"],
        ["source", "No feed: writes past this cache", "postgresFeed("],
        ["invalidations", "Nothing was invalidated", "cache.invalidate("],
        ["misses", "No read has missed", "There was no read yet"],
        ["purge", "Nothing can be purged from here", "readOnly: false"],
        ["audit", "Nothing was purged from here", "appendFileSync("],
      ] as const) {
        await go(page, url, address);
        await page.locator("main").getByText(title, { exact: false }).first().waitFor();
        expect(await page.locator("main").textContent()).toContain(step);
        expect(await pageFaults(page)).toEqual([]);
        await shoot(page, `empty-${address}`);
      }
      expect(problems).toEqual([]);
    });

    it("hides values in production, and says how they would be shown", async () => {
      const cache = createCache({ name: "crm" });
      await cache.set("user:1", { name: "Ann" });
      const { url } = await open(cache, { environment: "production" });
      const { page } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await go(page, url, "keys?kind=key&text=user%3A1");
      await page.getByText("Values are hidden here").waitFor();
      expect(await page.locator("main").textContent()).not.toContain("Ann");
    });

    it("asks for the token of who has none, and takes the right one only", async () => {
      const { url, admin } = await open(createCache({ name: "crm" }));
      const { page } = await browser.open();
      ends.push(() => page.close());
      await page.goto(url.split("#")[0] ?? "");
      // Cookies know no ports: one of a test before would not be this one's.
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      await page.getByLabel("Token").fill("not-the-token-0123456789");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").waitFor();
      await page.getByLabel("Token").fill(admin.token ?? "");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
      expect(await page.getByLabel("Token").count()).toBe(0);
      await shoot(page, "signed-in");
    });
  });
});
