import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { highlight } from "./highlight.js";
import { addressOf, NAVIGATION } from "./navigation.js";
import { readPage } from "./page.js";
import { buildSite, llmsText, readPages, targetOf } from "./site.js";

const root = new URL("../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const listed = NAVIGATION.flatMap(({ files }) => files);
const inFolder = (folder: string, depth: boolean): string[] =>
  readdirSync(new URL(folder, root), { recursive: depth, encoding: "utf8" })
    .filter((file) => file.endsWith(".md") && !file.includes("node_modules"))
    .map((file) => posix.join(folder, file));

describe("the documentation", () => {
  it("has each page in the navigation once, and none that is not there", () => {
    expect(new Set(listed).size).toBe(listed.length);
    expect(inFolder("docs", true).filter((file) => !listed.includes(file))).toEqual([]);
    expect(listed.filter((file) => !existsSync(new URL(file, root)))).toEqual([]);
  });

  it("has links that lead somewhere, anchors too", () => {
    const files = [...new Set([...listed, ...inFolder("docs", true), ...inFolder("examples", true)])];
    const pages = files.filter((file) => existsSync(new URL(file, root))).map((file) => readPage(file, read(file)));
    const anchors = new Map(pages.map(({ file, headings }) => [file, new Set(headings.map(({ id }) => id))]));
    const broken = pages.flatMap(({ file, links }) =>
      links
        .map((href) => ({ href, target: targetOf(file, href) }))
        .filter(({ target }) => {
          if (target === undefined) return false;
          if (!existsSync(new URL(target.file, root))) return true;
          return target.anchor !== "" && anchors.get(target.file)?.has(target.anchor) !== true;
        })
        .map(({ href }) => `${file}: ${href}`),
    );
    expect(pages.flatMap(({ links }) => links).length).toBeGreaterThan(100);
    expect(broken).toEqual([]);
  });

  it("names files and folders that there are", () => {
    const files = [...listed, ...inFolder("examples", true)].filter((file) => file !== "CHANGELOG.md");
    const named = files.flatMap((file) =>
      [...read(file).matchAll(/`((?:src|test|examples|scripts|bench|docs)\/[\w./-]*\w\/?)`/g)].map(([, path = ""]) => ({
        file,
        path,
      })),
    );
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter(({ path }) => !existsSync(new URL(path, root)))).toEqual([]);
  });

  it("has every room of the sources in the architecture", () => {
    const rooms = readdirSync(new URL("src/", root), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const page = read("docs/architecture.md");
    expect(rooms.filter(({ name }) => !page.includes(`${name}/`)).map(({ name }) => name)).toEqual([]);
  });

  it("has a page that links to each other page", () => {
    const index = readPage("docs/README.md", read("docs/README.md"));
    const linked = index.links.map((href) => targetOf(index.file, href)?.file);
    expect(inFolder("docs", true).filter((file) => file !== "docs/README.md" && !linked.includes(file))).toEqual([]);
  });

  it("begins each page with a title and a sentence of what it is about", () => {
    for (const { file, title, summary, headings } of readPages()) {
      expect([file, headings[0]?.depth, title !== file]).toEqual([file, 1, true]);
      expect([file, summary.length > 20 && summary.length < 420 && summary.endsWith(".")]).toEqual([file, true]);
    }
  });

  it("says of each concept what it is in short, by an example, its options, what happens when something fails, and its limits", () => {
    const concepts = NAVIGATION.filter(({ title }) => ["Concepts", "Databases", "HTTP"].includes(title)).flatMap(
      ({ files }) => files,
    );
    const missing = concepts.flatMap((file) => {
      const page = read(file);
      const parts = [
        /^(?:\*\*)?(?:In short|TL;DR)[.:]/m,
        /^```/m,
        /^##+ Options/m,
        /^## When something fails$/m,
        /^## Limits$/m,
      ];
      return parts.filter((part) => !part.test(page)).map((part) => `${file}: ${part.source}`);
    });
    // It tells of all of them together, and what it lacks is its last section.
    expect(missing.filter((what) => !what.startsWith("docs/architecture.md"))).toEqual([]);
  });

  it("is listed in llms.txt, as it is now", () => {
    expect(read("llms.txt")).toBe(llmsText(readPages(), (file) => file));
  });
});

describe("the site", () => {
  let site: Map<string, string>;
  beforeAll(() => {
    site = buildSite();
  }, 60_000);

  it("has every page, the API among them, with every address in it leading to a file and an anchor of the site", () => {
    for (const file of [...listed.filter((name) => existsSync(new URL(name, root))), "api.md"])
      expect([file, site.has(addressOf(file))]).toEqual([file, true]);
    const broken: string[] = [];
    for (const [address, html] of site) {
      if (!address.endsWith(".html")) continue;
      for (const [, target = ""] of html.matchAll(/(?:href|src)="([^"]*)"/g)) {
        if (/^(?:https?|data|mailto):/.test(target)) continue;
        const [path = "", anchor = ""] = target.split("#");
        const name = path === "" ? address : posix.join(posix.dirname(address), path);
        const found = site.get(name);
        if (found === undefined || (anchor !== "" && !found.includes(`id="${anchor}"`)))
          broken.push(`${address}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it("asks no other site for anything", () => {
    for (const [address, text] of site) {
      const loads = [
        ...text.matchAll(
          /(?:src|srcset)="(https?:[^"]*)"|<link[^>]*href="(https?:[^"]*)"|url\((["']?https?:[^)]*)\)|@import/g,
        ),
      ];
      expect([address, loads.map(([found]) => found)]).toEqual([address, []]);
    }
  });

  it("finds headings by an index of all of them", () => {
    const entries = JSON.parse(
      (site.get("search-index.js") ?? "").replace(/^.*? = /, "").replace(/;\n$/, ""),
    ) as string[][];
    expect(entries).toContainEqual(["Runbooks", "Redis down", "operate/runbooks.html#redis-down"]);
    expect(entries).toContainEqual(["tiercache: Cache", "getOrLoad", "api/tiercache.html#cache"]);
  });

  it("has a page for each entry point, with the signature and the documentation of what it exports", async () => {
    const api = site.get("api/tiercache.html") ?? "";
    const names = Object.keys(await import("../../src/index.js"));
    expect(names).toContain("createCache");
    for (const name of names) expect(api).toContain(`>${name} <a class="anchor"`);
    expect(api).toContain("An option has a value its rule forbids.");
    expect(site.get("api.html")).toContain('href="api/tiercache.html#createcache"');
  });

  it("shows every signature of an overloaded function, what it throws, and the value of a constant", () => {
    const redis = site.get("api/tiercache-redis.html") ?? "";
    const section = redis.slice(redis.indexOf('<h3 id="redis">'), redis.indexOf('<h3 id="redisjournal">'));
    expect(section.match(/redis\(/g)).toHaveLength(3);
    expect(section).toMatch(/<em>Throws<\/em> CacheError <code>ERR_CACHE_OPTION<\/code>/);
    expect(redis).toMatch(/logLength: <span class="number">50_000<\/span>/);
  });

  it("shows nothing that the package's declaration files leave out", () => {
    const api = site.get("api/tiercache.html") ?? "";
    expect(api).toContain("stale?: boolean");
    expect(api).not.toContain("@internal");
    expect(api).not.toContain("countMiss");
  });

  it("leads from a type in a signature to that type, on another entry point's page where it is of that", () => {
    expect(site.get("api/tiercache.html")).toContain('<a href="#cacheoptions">CacheOptions</a>');
    expect(site.get("api/tiercache-fastify.html")).toContain('<a href="tiercache.html#cache">Cache</a>');
  });

  it("shows of a class what is public, and nothing it does", () => {
    const api = site.get("api/tiercache.html") ?? "";
    const section = api.slice(api.indexOf('<h3 id="cacheerror">'));
    const code = section.slice(section.indexOf("<pre"), section.indexOf("</pre>")).replaceAll(/<[^>]*>/g, "");
    expect(code).toContain("readonly code: CacheErrorCode;");
    expect(code).not.toContain("super(");
    expect(code).not.toContain("#");
  });
});

describe("a page", () => {
  it("has anchors as GitHub makes them", () => {
    const { headings } = readPage("x.md", "# A `b.c()` & d, e\n\n## Same\n\n## Same\n\n## 1. Redis_x – y\n");
    expect(headings.map(({ id }) => id)).toEqual(["a-bc--d-e", "same", "same-1", "1-redis_x--y"]);
  });

  it("turns links into those of the site, and those to nowhere into text", () => {
    const page = readPage("x.md", "See [one *thing*](a.md#b), [two](src/c.ts) and\n\n## [three](a.md)\n");
    const html = page.html((href) => (href.startsWith("a.md") ? href.replace(".md", ".html") : undefined));
    expect(html).toContain('<a href="a.html#b">one <em>thing</em></a>, two and');
    expect(html).toContain('<h2 id="three"><a href="a.html">three</a>');
  });

  it("is summed up by its first sentence", () => {
    const summary = (text: string): string => readPage("x.md", `# T\n\n${text}\n`).summary;
    expect(summary("One `thing` is as long\nas it is, and says so. Another is not.")).toBe(
      "One thing is as long as it is, and says so.",
    );
    expect(summary("**In short.** few words. And then what makes it clear. More.")).toBe(
      "Few words. And then what makes it clear.",
    );
    expect(summary("TL;DR: `code()` is not written large, and this is what follows:")).toBe(
      "code() is not written large, and this is what follows.",
    );
  });

  it("escapes what code says, and marks its strings, words and comments", () => {
    expect(highlight('const a = "<b>"; // & c', "ts")).toBe(
      '<span class="keyword">const</span> a = <span class="string">&quot;&lt;b&gt;&quot;</span>; <span class="comment">// &amp; c</span>',
    );
    expect(highlight("a < b", "unknown")).toBe("a &lt; b");
  });
});
