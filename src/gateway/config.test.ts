import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { issuesOf } from "./config-schema.js";
import { parseJson } from "./json-text.js";
import { loadConfig } from "./load-config.js";
import { resolveConfig } from "./resolve-config.js";

const origin = "http://127.0.0.1:3000";

describe("a configuration", () => {
  it.each<[what: string, config: unknown, message: string]>([
    ["nothing", {}, "Expected `origin` or `origins` to be given"],
    ["no object", [], "Expected `config` to be an object, got `an array`"],
    ["a slip", { orgin: origin }, "Expected `orgin` to be a known field: did you mean `origin`?"],
    [
      "a slip inside",
      { origin, listen: { prot: 1 } },
      "Expected `listen.prot` to be a known field: did you mean `port`?",
    ],
    [
      "an unknown field",
      { origin, listen: { whatever: 1 } },
      "Expected `listen.whatever` to be one of port, host, tls, http2",
    ],
    [
      "an inherited name",
      { origin, listen: { constructor: 1 } },
      "Expected `listen.constructor` to be one of port, host, tls, http2",
    ],
    ["a path in an origin", { origin: `${origin}/api` }, "Expected `origin` to be an http: or https: URL without path"],
    [
      "credentials in an origin",
      { origin: "http://a:b@c" },
      "Expected `origin` to be an http: or https: URL without path",
    ],
    ["no servers", { origins: { a: { urls: [] } } }, "Expected `origins.a.urls` to be an array of 1 or more"],
    ["missing servers", { origins: { a: {} } }, "Expected `origins.a.urls` to be given"],
    [
      "a route to nowhere",
      { origin, routes: [{ origin: "api" }] },
      "Expected `routes[0].origin` to be one of default, got",
    ],
    [
      "a path not in normal form",
      { origin, routes: [{ path: "/a/../b" }] },
      "Expected `routes[0].path` to be a path in normal form",
    ],
    [
      "a time that is none",
      { origin, limits: { headersTimeout: "soon" } },
      "Expected `limits.headersTimeout` to be milliseconds or",
    ],
    [
      "a size that is none",
      { origin, cache: { memory: "much" } },
      "Expected `cache.memory` to be an integer of 1 or more or text like",
    ],
    [
      "a line end in a field",
      { origin, routes: [{ responseHeaders: { set: { a: "b\r\nc: d" } } }] },
      "Expected `routes[0].responseHeaders.set.a` to be",
    ],
    [
      "no name of a field",
      { origin, routes: [{ responseHeaders: { set: { "a b": "c" } } }] },
      'Expected `routes[0].responseHeaders.set["a b"]` to be the name',
    ],
    [
      "a network that is none",
      { origin, trustedProxies: ["10.0.0.0/33"] },
      "Expected `trustedProxies[0]` to be an address",
    ],
    [
      "an open admin port",
      { origin, admin: { port: 1, host: "0.0.0.0" } },
      "Expected `admin.host` to be a loopback address, or `admin.token`",
    ],
    [
      "a short token",
      { origin, admin: { port: 1, token: "abc" } },
      "Expected `admin.token` to be 16 visible characters or more",
    ],
    [
      "two shared tiers",
      { origin, cache: { folder: "/x", redis: "redis://a" } },
      "Expected `cache.redis` to come without `cache.folder`",
    ],
    ["half a certificate", { origin, listen: { tls: { cert: "a" } } }, "Expected `listen.tls.key` to be given"],
  ])("with %s is refused, and told what is wrong", (_what, config, message) => {
    const issues = issuesOf(config);
    expect(issues.map((issue) => issue.message)).toEqual([expect.stringContaining(message)]);
  });

  it("is told all that is wrong with it at once", () => {
    expect(() => resolveConfig({ origin: "x", hosts: [], name: "" })).toThrow(/`origin`.*\n.*`hosts`.*\n.*`name`/);
  });

  it("may leave everything to its defaults but the origin", () => {
    const { listen, limits, routes, origins } = resolveConfig({ origin, limits: { headerCount: undefined } });
    expect(listen).toEqual({ port: 8080, host: "127.0.0.1", http2: true, tls: undefined });
    expect([limits.headerCount, limits.headersTimeout, routes.length]).toEqual([100, 15_000, 1]);
    expect(origins.get("default")).toMatchObject({
      balance: "round-robin",
      connectTimeout: 5_000,
      retries: { most: 1 },
    });
  });
});

describe("a file of it", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tiercache-gateway-config-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const failing = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, text);
    return loadConfig(file).then(
      () => "loaded",
      (error: Error) => error.message.replaceAll(`${folder}/`, ""),
    );
  };

  it("in JSON says the line and column of each thing that is wrong", async () => {
    const text = `{
  "origin": "http://127.0.0.1:3000",
  "routes": [
    { "path": "/a" },
    { "path": "/b", "chache": true, "ttl": { "default": "soon" } }
  ]
}`;
    expect((await failing("a.json", text)).split("\n")).toEqual([
      "a.json:5:21: Expected `routes[1].chache` to be a known field: did you mean `cache`?",
      'a.json:5:57: Expected `routes[1].ttl.default` to be milliseconds or text like "30s", got `"soon"`',
    ]);
  });

  it.each([
    ["", "a.json:1:1: Expected a value, got the end of the file"],
    ['{\n  "origin": }', "a.json:2:13: Expected a value, got `}`"],
    ['{\n  "a": 1,\n}', "a.json:3:1: Expected a string in double quotes, got `}`"],
    ['{ "a": 1 "b": 2 }', 'a.json:1:10: Expected `,` or `}`, got `"`'],
    ['{ "a": 1,\n "a": 2 }', 'a.json:2:2: Expected "a" to stand here once'],
    ['{ "a": 1 } x', "a.json:1:12: Expected the end of the file, got `x`"],
    ["{ 'a': 1 }", "a.json:1:3: Expected a string in double quotes, got `'`"],
    ["[".repeat(200), "a.json:1:102: Expected no more than 100 levels, got `[`"],
    ['{ "a": 01 }', "a.json:1:9: Expected `,` or `}`, got `1`"],
  ])("that is no JSON is told where: %j", async (text, message) => {
    expect(await failing("a.json", text)).toBe(message);
  });

  it("reads JSON as JSON.parse does", () => {
    const text = '\uFEFF{"a":[1,-2.5e3,true,false,null,"\\u00e9\\n\\"x"],"b":{},"c":[],"__proto__":{"d":1}}';
    expect(JSON.stringify(parseJson(text).value)).toBe(JSON.stringify(JSON.parse(text.slice(1))));
  });

  it("in TypeScript is its default export, or `config`, as it is when it is read", async () => {
    const file = join(folder, "gateway.config.ts");
    const write = (port: number, form: string): Promise<void> =>
      writeFile(file, `const port: number = ${port};\n${form} { origin: \`http://127.0.0.1:\${port}\` };\n`);
    await write(3001, "export default");
    expect(await loadConfig(file)).toEqual({ origin: "http://127.0.0.1:3001" });
    await write(3002, "export const config =");
    expect(await loadConfig(file, { listen: { port: 1 } })).toEqual({
      origin: "http://127.0.0.1:3002",
      listen: { port: 1 },
    });
    await write(3003, "export const other =");
    await expect(loadConfig(file)).rejects.toThrow(
      "gateway.config.ts: Expected the configuration to be the default export",
    );
    expect(await failing("b.ts", "export default { orgin: 1 };")).toBe(
      "b.ts: Expected `orgin` to be a known field: did you mean `origin`?",
    );
  });

  it("that is not there is told as such", async () => {
    await expect(loadConfig(join(folder, "none.json"))).rejects.toThrow("none.json: no such file");
    await expect(loadConfig(join(folder, "none.ts"))).rejects.toThrow("none.ts: no such file");
  });
});
