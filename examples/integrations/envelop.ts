import { createSchema, createYoga } from "graphql-yoga";
import { createCache, memory } from "tiercache";
import { envelopCache } from "tiercache/envelop";

const names = new Map([["7", "Ann"]]);
let reads = 0;
const contact = (id: string): object => ({ id, name: `${names.get(id)}, read ${(reads += 1)} times` });

const cache = createCache({ tiers: [memory()] });
const yoga = createYoga({
  schema: createSchema({
    typeDefs: `
      type Contact { id: ID! name: String! }
      type Query { contact(id: ID!): Contact }
      type Mutation { rename(id: ID!, name: String!): Contact }
    `,
    resolvers: {
      Query: { contact: (_root, { id }) => contact(id) },
      Mutation: { rename: (_root, { id, name }) => names.set(id, name) && contact(id) },
    },
  }),
  plugins: [
    envelopCache(cache, {
      // Whose the answer is; `shared: true` instead, when answers do not depend on who asks.
      session: ({ request }) => request.headers.get("authorization") ?? undefined,
      ttls: { Contact: "1m" },
    }),
  ],
});

const ask = async (query: string): Promise<string> =>
  (await yoga.fetch(`http://localhost/graphql?query=${encodeURIComponent(query)}`)).text();
const rename = (): Promise<Response> =>
  yoga.fetch("http://localhost/graphql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: 'mutation { rename(id: "7", name: "Ada") { name } }' }),
  }) as Promise<Response>;

console.log(await ask('{ contact(id: "7") { name } }'), await ask('{ contact(id: "7") { name } }'));
await rename();
console.log(await ask('{ contact(id: "7") { name } }'));

await cache.close();
