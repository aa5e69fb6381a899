import { initTRPC, TRPCError } from "@trpc/server";
import { describe, expect, it } from "vitest";
import { createCache, memory, type Cache } from "../index.js";
import { FakeClock } from "../testing/index.js";
import { trpcCache, type TrpcCacheOptions } from "./trpc.js";

interface Context {
  readonly user?: string | undefined;
}

const t = initTRPC.context<Context>().create();

/** Any input, as it is. */
const anything = (input: unknown): unknown => input;

function rates(options: TrpcCacheOptions<Context>, given?: Cache) {
  const cache = given ?? createCache({ tiers: [memory()] });
  const calls: string[] = [];
  const cached = t.procedure.input(anything).use(trpcCache<Context>(cache, options));
  const router = t.router({
    who: cached.query(({ ctx, input }) => {
      calls.push(`${ctx.user} ${JSON.stringify(input)}`);
      return { user: ctx.user ?? "nobody", n: calls.length };
    }),
    other: cached.query(() => ({ n: calls.push("other") })),
    fail: cached.query(() => {
      calls.push("fail");
      throw new TRPCError({ code: "NOT_FOUND", message: "none" });
    }),
    rename: cached.mutation(() => calls.push("rename")),
    stream: cached.query(async function* () {
      calls.push("stream");
      yield await Promise.resolve(1);
    }),
  });
  const caller = t.createCallerFactory(router);
  return { cache, calls, as: (user?: string) => caller({ user }) };
}

describe("a middleware for tRPC", () => {
  it("answers a query once for each path and input, whatever the order of the input's fields", async () => {
    const { as, calls } = rates({ shared: true });
    const first = await as().who({ a: 1, b: [2, { c: new Date(3) }] });
    expect(await as().who({ b: [2, { c: new Date(3) }], a: 1 })).toEqual(first);
    expect(await as().who({ a: "1", b: [2, { c: new Date(3) }] })).not.toEqual(first);
    expect(await as().other({ a: 1 })).toEqual({ n: 3 });
    expect(await as().who(undefined)).not.toEqual(await as().who({}));
    expect(calls).toHaveLength(5);
  });

  it("tells inputs apart that a validator behind it is yet to read", async () => {
    const cache = createCache({ tiers: [memory()] });
    const pick =
      (name: string) =>
      (input: unknown): Record<string, unknown> => ({ [name]: (input as Record<string, unknown>)[name] });
    const cached = trpcCache<Context>(cache, { shared: true });
    const router = t.router({
      after: t.procedure
        .use(cached)
        .input(String)
        .query(({ input }) => input),
      between: t.procedure
        .input(pick("tenant"))
        .use(cached)
        .input(pick("id"))
        .query(({ input }) => input),
    });
    const caller = t.createCallerFactory(router)({});
    expect([await caller.after("1"), await caller.after("2")]).toEqual(["1", "2"]);
    for (const asked of [
      { tenant: "a", id: 1 },
      { tenant: "a", id: 2 },
    ])
      expect(await caller.between(asked)).toEqual(asked);
    await cache.close();
  });

  it("shares the run of queries that come together", async () => {
    const { as, calls } = rates({ shared: true });
    await Promise.all([as().who("x"), as().who("x"), as().who("x")]);
    expect(calls).toHaveLength(1);
  });

  it("keeps users apart by the scope, and refuses one that is empty", async () => {
    const { as } = rates({ scope: (ctx) => ctx.user });
    expect(await as("ann").who(1)).toMatchObject({ user: "ann" });
    expect(await as("bob").who(1)).toMatchObject({ user: "bob" });
    expect(await as("ann").who(1)).toEqual({ user: "ann", n: 1 });
    expect(await as().who(1)).toMatchObject({ user: "nobody" });
    // No user has the place of everybody.
    expect(await as("shared").who(1)).toMatchObject({ user: "shared" });
    await expect(as("").who(1)).rejects.toThrow(/scope/);
  });

  it("must be told whose the answers are", () => {
    const cache = createCache();
    expect(() => trpcCache(cache, {})).toThrow(/`scope`/);
    expect(() => trpcCache(cache, { shared: true, scope: () => "x" })).toThrow(/`scope`/);
    expect(() => trpcCache(cache, { shared: true, name: "" })).toThrow(/`name`/);
    expect(() => trpcCache(cache, { shared: true, key: "x" } as never)).toThrow(/key/);
  });

  it("gives the procedure's error to everybody who waits, and stores none", async () => {
    const { as, calls } = rates({ shared: true });
    const settled = await Promise.allSettled([as().fail(1), as().fail(1)]);
    for (const one of settled)
      expect(one).toMatchObject({ status: "rejected", reason: { code: "NOT_FOUND", message: "none" } });
    expect(calls).toEqual(["fail"]);
    await expect(as().fail(1)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(calls).toEqual(["fail", "fail"]);
  });

  it("lets mutations, generators and inputs that cannot be a key pass", async () => {
    const { as, calls } = rates({ shared: true });
    await as().rename(1);
    await as().rename(1);
    for (const run of [1, 2]) {
      const items: number[] = [];
      for await (const item of await as().stream(1)) items.push(item);
      expect([run, items]).toEqual([run, [1]]);
    }
    await as().who(new Map([[1, 2]]));
    await as().who(new Map([[1, 3]]));
    expect(calls).toEqual(["rename", "rename", "stream", "stream", "undefined {}", "undefined {}"]);
  });

  it("forgets by tags of the data and after its ttl", async () => {
    const clock = new FakeClock();
    const cache = createCache({ tiers: [memory()], clock });
    const { as, calls } = rates(
      { shared: true, ttl: "10s", jitter: 0, tags: (_data, { input }) => [["contact", input as number]] },
      cache,
    );
    await as().who(7);
    await as().who(8);
    await cache.invalidate({ tag: ["contact", 7] });
    await as().who(7);
    await as().who(8);
    expect(calls).toHaveLength(3);
    await clock.advance(10_000);
    await as().who(8);
    expect(calls).toHaveLength(4);
    await cache.close();
  });
});
