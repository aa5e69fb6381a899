import { describe, expect, it, onTestFinished } from "vitest";
import { cachedFetch, purge } from "../src/http/index.js";
import { deferred } from "./support/deferred.js";
import { processes } from "./support/processes.js";

const URL_A = "http://a.example/x";

/** Two processes on one shared tier, in front of one origin. */
async function two(answer: (number: number) => Response | Promise<Response>) {
  const { caches, clock, settle, connections, close } = await processes(2);
  onTestFinished(close);
  let asked = 0;
  const origin = async (): Promise<Response> => answer(++asked);
  const [one, other] = caches.map((cache) => {
    const http = cachedFetch(cache, { clock, shared: true, fetch: origin });
    return { cache, text: async (): Promise<string> => (await http(URL_A)).text() };
  });
  if (one === undefined || other === undefined) throw new Error("Expected two processes");
  const rest = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await settle();
  };
  return { one, other, clock, rest, connections, asked: () => asked };
}

const FRESH = { "cache-control": "max-age=60", "surrogate-key": "t" };

describe("an HTTP cache in several processes", () => {
  it("loads once for all of them, variants too", async () => {
    for (const vary of ["", "accept"]) {
      const gate = deferred();
      const { one, other, rest, clock, asked } = await two(async (number) => {
        await gate.promise;
        return new Response(`body ${number}`, { headers: { ...FRESH, vary } });
      });
      const both = [one.text(), other.text()];
      await rest();
      gate.resolve();
      await rest();
      await clock.advance(1_000);
      expect(await Promise.all(both)).toEqual(["body 1", "body 1"]);
      expect([await one.text(), await other.text(), asked()]).toEqual(["body 1", "body 1", 1]);
    }
  });

  it("purges in all of them", async () => {
    for (const vary of ["", "accept"]) {
      const { one, other, rest } = await two(
        (number) => new Response(`body ${number}`, { headers: { ...FRESH, vary } }),
      );
      for (const target of [{ tag: "t" }, { url: URL_A }, { prefix: "http://a.example/" }]) {
        const before = await one.text();
        await rest();
        expect(await other.text()).toBe(before);
        await purge(other.cache, target);
        await rest();
        const after = await one.text();
        expect(after).not.toBe(before);
        await rest();
        expect(await other.text()).toBe(after);
      }
    }
  });

  it("goes on without the shared tier", async () => {
    const { one, other, rest, clock, connections } = await two(
      (number) => new Response(`body ${number}`, { headers: FRESH }),
    );
    for (const connection of connections) connection.fail();
    const both = Promise.all([one.text(), other.text()]);
    for (let n = 0; n < 20; n++) await clock.advance(500);
    expect((await both).sort()).toEqual(["body 1", "body 2"]);
    await rest();
  });

  it("gives a private response to the process that asked, and makes no other wait for it twice", async () => {
    const { one, other, rest, clock } = await two(
      (number) => new Response(`body ${number}`, { headers: { "cache-control": "private, max-age=60" } }),
    );
    const both = Promise.all([one.text(), other.text()]);
    await rest();
    await clock.advance(1_000);
    expect((await both).sort()).toEqual(["body 1", "body 2"]);
  });
});
