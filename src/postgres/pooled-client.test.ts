import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { withPooledClient } from "./pooled-client.js";

const broken = new Error("read ECONNRESET");

describe("a client taken out of its pool", () => {
  it("may break while it is out, more than once, and ends nobody", async () => {
    const client = new EventEmitter();
    const work = async (out: EventEmitter): Promise<string> => {
      out.emit("error", broken);
      out.emit("error", new Error("Connection terminated unexpectedly"));
      return "its next query says so";
    };
    await expect(withPooledClient({ connect: async () => client }, work, () => undefined)).resolves.toBe(
      "its next query says so",
    );
  });

  it("is the pool's again once it is released, and heard until then", async () => {
    const client = new EventEmitter();
    let released = false;
    const release = (out: EventEmitter): void => {
      released = out.emit("error", broken);
    };
    await withPooledClient({ connect: async () => client }, async () => undefined, release);
    expect(released).toBe(true);
    expect(client.listenerCount("error")).toBe(0);
  });

  it("is released with what the work threw, which is thrown on", async () => {
    const failures: unknown[] = [];
    const failing = withPooledClient(
      { connect: async () => ({}) },
      () => Promise.reject(broken),
      (_client, failure) => failures.push(failure),
    );
    await expect(failing).rejects.toBe(broken);
    expect(failures).toEqual([broken]);
  });
});
