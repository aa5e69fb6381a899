import { initTRPC } from "@trpc/server";
import { createCache, memory } from "tiercache";
import { trpcCache } from "tiercache/trpc";

interface Context {
  readonly user?: string | undefined;
}

const cache = createCache({ tiers: [memory()] });
const t = initTRPC.context<Context>().create();
let reads = 0;

const router = t.router({
  contact: t.procedure
    .input((input) => Number(input))
    .use(
      trpcCache<Context>(cache, {
        scope: (ctx) => ctx.user,
        ttl: "1m",
        tags: (_data, { input }) => [["contact", input as number]],
      }),
    )
    .query(({ ctx, input }) => ({ id: input, user: ctx.user, reads: (reads += 1) })),
});
const as = (user: string) => t.createCallerFactory(router)({ user });

console.log(await as("ann").contact(7), await as("ann").contact(7), await as("bob").contact(7));
await cache.invalidate({ tag: ["contact", 7] });
console.log(await as("ann").contact(7));

await cache.close();
