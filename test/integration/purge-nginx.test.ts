import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { nginx, type HttpPurger } from "../../src/http/purge/index.js";
import { startNginx, type NginxServer } from "../support/nginx-server.js";

/** The configuration of the documentation, in front of this origin. */
function configuration(port: number, cache: string, origin: number): string {
  const page = readFileSync(new URL("../../docs/purge.md", import.meta.url), "utf8");
  const text = /```nginx\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  expect(text).toContain("127.0.0.1:3000");
  return text
    .replace("127.0.0.1:3000", `127.0.0.1:${origin}`)
    .replace("/var/cache/nginx", cache)
    .replace("server {", `server { listen 127.0.0.1:${port};`);
}

let asked = 0;
const origin = createServer((_request, response) => {
  asked += 1;
  response.end(`body ${asked}`);
});
let server: NginxServer;

beforeAll(async () => {
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const { port } = origin.address() as AddressInfo;
  server = await startNginx((own, cache) => configuration(own, cache, port));
}, 300_000);

afterAll(async () => {
  await server?.stop();
  origin.closeAllConnections();
  origin.close();
});

async function isHit(path: string): Promise<boolean> {
  const before = asked;
  await (await fetch(server.url + path)).text();
  return asked === before;
}

function closing(purger: HttpPurger): HttpPurger {
  onTestFinished(() => purger.close());
  return purger;
}

const ways = {
  purge: () => nginx({ servers: server.url, queue: { window: 1 } }),
  bypass: () => nginx({ servers: server.url, by: "bypass", header: ["x-refresh", "1"], queue: { window: 1 } }),
  files: () => nginx({ by: "files", folder: server.cache, queue: { window: 1 } }),
};

describe("nginx", () => {
  for (const [by, make] of Object.entries(ways)) {
    it(`forgets a URL (${by}), and nothing else, and takes what it never had for forgotten`, async () => {
      const purger = closing(make());
      const [one, other] = [`/${by}/a?x=1`, `/${by}/a?x=2`];
      for (const path of [one, other]) expect([await isHit(path), await isHit(path)]).toEqual([false, true]);
      const before = await (await fetch(server.url + one)).text();
      const targets = [{ url: server.url + one }, { url: `${server.url}/${by}/never` }];
      expect(await purger.purge(targets)).toEqual({ purger: "nginx", acknowledged: targets, failed: [] });
      expect(await isHit(other)).toBe(true);
      expect(await (await fetch(server.url + one)).text()).not.toBe(before);
    });
  }

  it("says what it cannot do", async () => {
    const report = await closing(ways.purge()).purge([{ tag: "a" }, { prefix: `${server.url}/a` }, { all: true }]);
    expect(report.failed.map(({ reason }) => reason)).toEqual([
      "nginx has no tags",
      "this nginx does not purge by prefix",
      "nginx does not purge all hosts at once",
    ]);
    expect(() => nginx({ servers: server.url, by: "bypass" })).toThrow("Expected `header` to be a name and a value");
    expect(() => nginx({ by: "files", folder: "/x", levels: "3" })).toThrow("Expected `levels` to be");
  });
});
