import { createClient } from "redis";
import { describe, expect, it } from "vitest";
import { redis, type RedisOptions } from "./index.js";

// Never connected: it is only looked at.
const client = createClient();

function refusal(options: RedisOptions): unknown {
  try {
    redis(client, options);
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("the options of parts", () => {
  it.each([1_023, 268_435_457, 4_096.5, Number.NaN, Infinity, -1, "512KB"])("refuse partsAbove of %s", (given) => {
    expect(refusal({ partsAbove: given as number })).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining("`partsAbove`") as string,
    });
  });

  it.each([1_024, 268_435_456, undefined])("take partsAbove of %s", (given) => {
    expect(redis(client, { partsAbove: given }).kind).toBe("redis");
  });

  it("refuse what is no client for them, and connect none before there is a large value", async () => {
    expect(refusal({ largeClient: {} as RedisOptions["largeClient"] })).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining("`largeClient`") as string,
    });
    const largeClient = createClient();
    await redis(client, { largeClient }).open("c").close();
    expect([client.isOpen, largeClient.isOpen]).toEqual([false, false]);
  });
});
