import { envelop, useEngine, useSchema } from "@envelop/core";
import * as graphql from "graphql";
import { createSchema, createYoga, type Plugin } from "graphql-yoga";
import { describe, expect, it } from "vitest";
import { createCache, memory, type Cache } from "../index.js";
import { FakeClock } from "../testing/index.js";
import { envelopCache, type EnvelopCacheOptions } from "./envelop.js";

const typeDefs = /* GraphQL */ `
  directive @cacheControl(maxAge: Int, scope: CacheControlScope) on FIELD_DEFINITION | OBJECT
  enum CacheControlScope {
    PUBLIC
    PRIVATE
  }
  interface Named {
    name: String!
  }
  type Contact implements Named {
    id: ID!
    name: String!
    company: Company
  }
  type Company implements Named {
    id: ID!
    name: String!
  }
  type Stock @cacheControl(maxAge: 2) {
    price: Int!
  }
  union Hit = Contact | Company
  type Query {
    contact(id: ID!): Contact
    contacts: [Contact!]!
    search(filter: Filter): [Hit!]!
    named: Named
    stock: Stock
    me: String @cacheControl(scope: PRIVATE)
    now: Int!
    broken: String
  }
  input Filter {
    text: String
    limit: Int
  }
  type Mutation {
    rename(id: ID!, name: String!): Contact
  }
  type Subscription {
    ticks: Int!
  }
`;

interface Context {
  readonly user?: string | undefined;
}

function world(options: EnvelopCacheOptions<Context>, given?: Cache) {
  const cache = given ?? createCache({ tiers: [memory()] });
  const runs: string[] = [];
  const names = new Map([
    ["7", "Ann"],
    ["8", "Bob"],
  ]);
  const contact = (id: string): object => ({
    __typename: "Contact",
    id,
    name: names.get(id),
    company: { id: "1", name: "Acme" },
  });
  const ran = <T>(what: string, value: T): T => {
    runs.push(what);
    return value;
  };
  const schema = createSchema<Context>({
    typeDefs,
    resolvers: {
      Query: {
        contact: (_root, { id }) => ran(`contact ${id}`, names.has(id) ? contact(id) : null),
        contacts: () => ran("contacts", [...names.keys()].map(contact)),
        search: (_root, { filter }) =>
          ran(`search ${JSON.stringify(filter)}`, [contact("7"), { __typename: "Company", id: "1", name: "Acme" }]),
        named: () => ran("named", contact("7")),
        stock: () => ran("stock", { price: runs.length }),
        me: (_root, _args, { user }) => ran("me", user ?? "nobody"),
        now: () => ran("now", runs.length),
        broken: () => {
          runs.push("broken");
          throw new graphql.GraphQLError("broken");
        },
      },
      Mutation: {
        rename: (_root, { id, name }) => {
          names.set(id, name);
          return ran("rename", contact(id));
        },
      },
      Subscription: {
        ticks: {
          subscribe: async function* () {
            yield { ticks: 1 };
          },
        },
      },
    },
  });
  const plugin: Plugin = envelopCache<Context>(cache, options);
  const yoga = createYoga<object, Context>({
    schema,
    plugins: [plugin],
    logging: false,
    context: ({ request }) => ({ user: request.headers.get("x-user") ?? undefined }),
  });
  // oxlint-disable-next-line typescript/no-explicit-any
  const ask = async (query: string, variables?: object, user?: string): Promise<{ data?: any; errors?: unknown[] }> => {
    const response = await yoga.fetch("http://localhost/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", ...(user === undefined ? {} : { "x-user": user }) },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as { data?: unknown; errors?: unknown[] };
  };
  return { cache, runs, ask };
}

const NAME = "query Name($id: ID!) { contact(id: $id) { name } }";

describe("a response cache for GraphQL Yoga", () => {
  it("answers a query once for its document and variables, with nothing in it that was not asked for", async () => {
    const { ask, runs } = world({ shared: true });
    expect(await ask(NAME, { id: "7" })).toEqual({ data: { contact: { name: "Ann" } } });
    expect(await ask(NAME, { id: "7" })).toEqual({ data: { contact: { name: "Ann" } } });
    expect(await ask(NAME, { id: "8" })).toEqual({ data: { contact: { name: "Bob" } } });
    expect(await ask("query Name($id: ID!) { contact(id: $id) { id } }", { id: "7" })).toEqual({
      data: { contact: { id: "7" } },
    });
    expect(runs).toEqual(["contact 7", "contact 8", "contact 7"]);
  });

  it("tells the operations of one document apart", async () => {
    const runs: string[] = [];
    const schema = graphql.buildSchema("type Query { a: Int b: Int }");
    const rootValue = { a: () => runs.push("a"), b: () => runs.push("b") };
    const cache = createCache({ tiers: [memory()] });
    const enveloped = envelop({
      plugins: [useEngine(graphql), useSchema(schema), envelopCache(cache, { shared: true })],
    });
    const { parse, execute } = enveloped({});
    const document = parse("query A { a } query B { b }");
    for (const operationName of ["A", "B", "A"]) await execute({ document, schema, rootValue, operationName });
    expect(runs).toEqual(["a", "b"]);
  });

  it("keeps sessions apart, and refuses one that is empty", async () => {
    const { ask } = world({ session: ({ user }) => user });
    expect((await ask("{ me }", {}, "ann")).data).toEqual({ me: "ann" });
    expect((await ask("{ me }", {}, "bob")).data).toEqual({ me: "bob" });
    expect((await ask("{ me }")).data).toEqual({ me: "nobody" });
    expect((await ask("{ me }", {}, "shared")).data).toEqual({ me: "shared" });
    const empty = world({ session: () => "" });
    expect((await empty.ask("{ now }")).errors).toHaveLength(1);
  });

  it("must be told whose the answers are", () => {
    const cache = createCache();
    expect(() => envelopCache(cache, {})).toThrow(/`session`/);
    expect(() => envelopCache(cache, { shared: true, session: () => "x" })).toThrow(/`session`/);
    expect(() => envelopCache(cache, { shared: true, ttls: { Stock: "soon" } })).toThrow(/ttls.Stock/);
    expect(() => envelopCache(cache, { shared: true, idFields: ["id"] } as never)).toThrow(/idFields/);
  });

  it("forgets answers by the objects in them, however deep, and by what a mutation returns", async () => {
    const { ask, cache, runs } = world({ shared: true });
    const LIST = "{ contacts { name company { name } } }";
    await ask(LIST);
    await ask(NAME, { id: "8" });
    expect((await ask('mutation { rename(id: "7", name: "Ada") { name } }')).data).toEqual({ rename: { name: "Ada" } });
    expect((await ask(LIST)).data.contacts[0]).toEqual({ name: "Ada", company: { name: "Acme" } });
    await ask(NAME, { id: "8" });
    expect(runs).toEqual(["contacts", "contact 8", "rename", "contacts"]);
    await cache.invalidate({ tag: ["Company", "1"] });
    await ask(LIST);
    await cache.invalidate({ tag: ["Contact"] });
    await ask(NAME, { id: "8" });
    expect(runs.slice(4)).toEqual(["contacts", "contact 8"]);
  });

  it.each([
    "{ search { ... on Contact { name } } }",
    "{ search { __typename } }",
    "{ named { name } }",
    "{ search { ...C } } fragment C on Contact { name }",
  ])("knows the objects of %s", async (query) => {
    const { ask, runs } = world({ shared: true });
    const first = await ask(query);
    expect(JSON.stringify(first)).not.toContain("tiercache");
    expect(await ask(query)).toEqual(first);
    await ask('mutation { rename(id: "7", name: "Ada") { __typename } }');
    await ask(query);
    expect(runs).toHaveLength(3);
  });

  it("has answers hang on the records of an entity, so that they go with them", async () => {
    const cache = createCache();
    const contacts = cache.entity<string, object>({ name: "contact", dependents: true });
    const tagsOf: EnvelopCacheOptions<Context>["tagsOf"] = (type, id) =>
      type === "Contact" ? [contacts.tag(id)] : [[type, id]];
    const { ask, runs } = world({ shared: true, tagsOf }, cache);
    await ask(NAME, { id: "7" });
    await ask(NAME, { id: "8" });
    await contacts.invalidate("7");
    await ask(NAME, { id: "7" });
    await ask(NAME, { id: "8" });
    expect(runs).toEqual(["contact 7", "contact 8", "contact 7"]);
    await ask('mutation { rename(id: "7", name: "Ada") { name } }');
    expect(await ask(NAME, { id: "7" })).toEqual({ data: { contact: { name: "Ada" } } });
  });

  it("stores no errors, and asks again", async () => {
    const { ask, runs } = world({ shared: true });
    expect((await ask("{ broken now }")).errors).toHaveLength(1);
    expect((await ask("{ broken now }")).errors).toHaveLength(1);
    expect(runs.filter((one) => one === "broken")).toHaveLength(2);
  });

  it("stores no errors that are plain data either, as another executor gives them", async () => {
    let runs = 0;
    const execute = (): object => ({ data: { a: null }, errors: [{ message: `failure ${(runs += 1)}` }] });
    const schema = graphql.buildSchema("type Query { a: Int }");
    const cache = createCache({ tiers: [memory()] });
    const engine = useEngine({ ...graphql, execute: execute as never });
    const enveloped = envelop({ plugins: [engine, useSchema(schema), envelopCache(cache, { shared: true })] })({});
    const document = enveloped.parse("{ a }");
    for (const run of [1, 2]) {
      expect(await enveloped.execute({ document, schema })).toMatchObject({ errors: [{ message: `failure ${run}` }] });
    }
  });

  it("lets a type, a field and the schema's own hints shorten an answer's life", async () => {
    const clock = new FakeClock();
    const cache = createCache({ tiers: [memory()], clock });
    const options: EnvelopCacheOptions<Context> = {
      shared: true,
      jitter: 0,
      ttl: "1m",
      ttls: { Company: "10s", "Query.now": 0 },
    };
    const { ask, runs } = world(options, cache);
    const DEEP = "{ contacts { company { name } } }";
    for (const wait of [0, 1_999, 1, 8_000]) {
      await clock.advance(wait);
      for (const query of [DEEP, "{ stock { price } }", "{ now }", NAME]) await ask(query, { id: "7" });
    }
    const count = (what: string): number => runs.filter((one) => one === what).length;
    expect([count("contacts"), count("stock"), count("now"), count("contact 7")]).toEqual([2, 3, 4, 1]);
    await clock.advance(50_000);
    await ask(NAME, { id: "7" });
    expect(count("contact 7")).toBe(2);
    await cache.close();
  });

  it("does not share what the schema says is private", async () => {
    const { ask } = world({ shared: true });
    expect((await ask("{ me }", {}, "ann")).data).toEqual({ me: "ann" });
    expect((await ask("{ me }", {}, "bob")).data).toEqual({ me: "bob" });
  });

  it("leaves queries of the schema, and aliases of its own name, alone", async () => {
    const { ask, cache } = world({ shared: true });
    await ask("{ __schema { queryType { name } } }");
    expect(cache.stats().total.gets).toBe(0);
    const spoofed = await ask('mutation { rename(id: "7", name: "Eve") { tiercache__type: name name } }');
    expect(spoofed.errors).toHaveLength(1);
  });

  it("runs a query together once for all who ask", async () => {
    const { ask, runs } = world({ shared: true });
    await Promise.all([1, 2, 3].map(() => ask("{ contacts { name } }")));
    expect(runs).toEqual(["contacts"]);
  });
});
