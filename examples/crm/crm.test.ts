import { tsImport } from "tsx/esm/api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reportLines } from "./monitor.js";
import type { TestCrm, testing } from "./testing.js";

const loaded = (await tsImport("./testing.ts", import.meta.url)) as { readonly testing: typeof testing };
const { startTestCrm, CACHE_TTL, FakeClock, SharedMemory, SqlContacts, SqlDeals, SqlProducts, memory } = loaded.testing;

let test: TestCrm;

beforeAll(async () => {
  test = await startTestCrm();
});

afterAll(() => test.stop());

/** The statements the database runs while `act` runs. */
async function statementsOf(act: () => Promise<unknown>): Promise<number> {
  const before = test.database.statements;
  await act();
  return test.database.statements - before;
}

describe("the CRM's tenants", () => {
  const hostile = ["a:b", "a", "*", "global", "a:contact", "%2A", "tenant of 'quotes'", "v2"];

  it("see their own rows, whatever their names hold", async () => {
    await test.tenants(...hostile);
    const crm = test.crm();
    for (let round = 0; round < 2; round++) {
      for (const tenant of hostile) {
        expect(await crm.contacts.getById(tenant, 1)).toMatchObject({ name: `Contact 1 of ${tenant}` });
        expect(await crm.products.listByCategory(tenant, 1)).toMatchObject([
          { category: `Category 1 of ${tenant}` },
          {},
          {},
        ]);
        expect(await crm.users.get(tenant, 1)).toMatchObject({ name: `User 1 of ${tenant}` });
        expect(await crm.users.greeting(tenant, 2)).toBe(`Hello User 2 of ${tenant}`);
      }
    }
  });

  it("are invalidated one at a time", async () => {
    const crm = test.crm();
    const readAll = () => Promise.all(hostile.map((tenant) => crm.contacts.getById(tenant, 2)));
    await readAll();
    await crm.contacts.rename("*", 2, "renamed");
    expect(await statementsOf(readAll)).toBe(1);
    await crm.events.publish("tenant restored", { tenant: "global" });
    expect(await statementsOf(readAll)).toBe(1);
  });

  it.each(["", undefined, null])("have names: %j is refused before the database is asked", async (nobody) => {
    const crm = test.crm();
    const tenant = nobody as string;
    const refused = expect.objectContaining({ code: "ERR_CACHE_ENTITY" }) as unknown;
    const statements = await statementsOf(async () => {
      await expect(crm.contacts.getById(tenant, 1)).rejects.toEqual(refused);
      await expect(crm.contacts.getMany(tenant, [1])).rejects.toEqual(refused);
      await expect(crm.contacts.rename(tenant, 1, "x")).rejects.toEqual(refused);
      await expect(crm.settings.all(tenant)).rejects.toEqual(refused);
      await expect(Promise.resolve().then(() => crm.users.get(tenant, 1))).rejects.toEqual(refused);
    });
    expect(statements).toBe(0);
  });
});

describe("what the CRM caches", () => {
  it("comes back as the database gives it, from memory and from the shared tier", async () => {
    await test.tenants("fidelity");
    const shared = new SharedMemory();
    const here = test.crm({ tiers: [memory(), shared.factory()] });
    const there = test.crm({ tiers: [memory(), shared.factory()] });
    const created = await here.contacts.create("fidelity", {
      name: "Zoë \u{1F680} \u0001",
      email: null,
      fields: { nested: { list: [1, "2", null, true], empty: {}, text: "" }, big: 1e21, zero: 0 },
      photo: new Uint8Array([0, 255, 128]),
    });
    const contact = await new SqlContacts(test.database).getById("fidelity", created.id);
    const deal = await new SqlDeals(test.database).getById("fidelity", 1);
    const pipeline = await new SqlDeals(test.database).pipeline("fidelity");
    expect(contact?.createdAt).toBeInstanceOf(Date);
    expect(deal?.amount).toBe(100n);
    for (const crm of [here, here, there, there]) {
      expect(await crm.contacts.getById("fidelity", created.id)).toStrictEqual(contact);
      expect(await crm.deals.getById("fidelity", 1)).toStrictEqual(deal);
      expect(await crm.reports.pipeline("fidelity")).toStrictEqual(pipeline);
      expect(await crm.contacts.getById("fidelity", 999)).toBeUndefined();
    }
    expect(there.cache.stats().total.loads).toBe(0);
  });

  it.each(Object.entries(CACHE_TTL))("is a %s for %i seconds at most", async (kind, seconds) => {
    const tenant = `ttl of ${kind}`;
    await test.tenants(tenant);
    const clock = new FakeClock();
    const crm = test.crm({ clock, jitter: 0 });
    const read: Readonly<Record<string, () => Promise<unknown>>> = {
      user: () => crm.users.get(tenant, 1),
      contact: () => crm.contacts.getById(tenant, 1),
      deal: () => crm.deals.getById(tenant, 1),
      product: () => crm.products.getById(tenant, 1),
      category: () => crm.categories.list(tenant),
      settings: () => crm.settings.all(tenant),
    };
    const again = () => statementsOf(read[kind] as () => Promise<unknown>);
    expect(await again()).toBe(1);
    await clock.advance(seconds * 1_000 - 1);
    expect(await again()).toBe(0);
    await clock.advance(1);
    expect(await again()).toBe(1);
  });

  it("is asked for once by a hundred people at once", async () => {
    await test.tenants("crowd");
    const crm = test.crm();
    expect(
      await statementsOf(() => Promise.all(Array.from({ length: 100 }, () => crm.deals.board("crowd", "won")))),
    ).toBe(1);
  });

  it("has the version of its shape in its key", () => {
    expect(test.crm().contacts.cache.key("getById", "acme", 7)).toBe("acme:contact:id:7:v2");
  });

  it("is served on, as it was, when the database cannot be asked", async () => {
    await test.tenants("outage");
    const clock = new FakeClock();
    const crm = test.crm({ clock, jitter: 0 });
    const before = await crm.settings.get("outage", "theme");
    await clock.advance(86_400_001);
    await test.database.query("alter table settings rename to settings_away");
    try {
      expect(await crm.settings.get("outage", "theme")).toEqual(before);
      await expect(crm.settings.get("outage", "currency")).rejects.toThrow(/settings/);
    } finally {
      await test.database.query("alter table settings_away rename to settings");
    }
  });

  it("is warm at start: categories and settings of every tenant", async () => {
    await test.tenants("warm 1", "warm 2", "warm 3");
    const tenants = ["warm 1", "warm 2", "warm 3"];
    const crm = test.crm();
    let report: unknown;
    expect(await statementsOf(async () => (report = await crm.warm(tenants)))).toBe(6);
    expect(report).toMatchObject({ done: 6, failed: 0 });
    const statements = await statementsOf(async () => {
      for (const tenant of tenants) {
        expect(await crm.categories.list(tenant)).toHaveLength(4);
        expect(await crm.settings.all(tenant)).toHaveLength(3);
      }
    });
    expect(statements).toBe(0);
  });
});

describe("the CRM's writes", () => {
  it("drop a contact wherever it shows, and nothing else", async () => {
    await test.tenants("writes");
    const crm = test.crm();
    const [first] = await crm.deals.board("writes", "won");
    const id = first?.contactId ?? 0;
    const read = () =>
      Promise.all([
        crm.contacts.getById("writes", id),
        crm.contacts.getByEmail("writes", `c${id}@example.com`),
        crm.deals.board("writes", "won").then((cards) => cards.find((card) => card.contactId === id)),
        crm.contacts.search("writes", " RENAMED "),
        crm.contacts.getById("writes", 20),
      ]);
    await read();
    await crm.contacts.rename("writes", id, "Renamed");
    const [byId, byEmail, card, found, other] = await read();
    expect([byId?.name, byEmail?.name, card?.contact, found[0]?.name]).toEqual([
      "Renamed",
      "Renamed",
      "Renamed",
      "Renamed",
    ]);
    expect(other?.name).toBe("Contact 20 of writes");
    await crm.contacts.rename("writes", id, "Renamed again");
    expect(await statementsOf(read)).toBe(4);
  });

  it("drop the products of a category that is renamed", async () => {
    await test.tenants("cascade");
    const crm = test.crm();
    const read = () =>
      Promise.all([
        crm.products.listByCategory("cascade", 2),
        crm.products.listByCategory("cascade", 3),
        crm.products.getById("cascade", 1),
        crm.products.getById("cascade", 2),
      ]);
    await read();
    await crm.categories.rename("cascade", 2, "Hardware");
    expect(await statementsOf(read)).toBe(2);
    expect((await read())[0].map((product) => product.category)).toEqual(["Hardware", "Hardware", "Hardware"]);
    expect(await crm.products.getById("cascade", 1)).toMatchObject({ category: "Hardware" });
  });

  it("drop every product when they are all repriced", async () => {
    await test.tenants("prices");
    const crm = test.crm();
    await crm.products.getById("prices", 1);
    expect(await crm.products.reprice("prices", 10)).toBe(12);
    expect(await crm.products.getById("prices", 1)).toEqual(await new SqlProducts(test.database).getById("prices", 1));
  });

  it("drop the report made of the deals", async () => {
    await test.tenants("report");
    const crm = test.crm();
    const before = await crm.reports.pipeline("report");
    expect(await statementsOf(() => crm.reports.pipeline("report"))).toBe(0);
    await crm.deals.move("report", 1, "won");
    expect((await crm.reports.pipeline("report")).get("won")).toBe((before.get("won") ?? 0n) + 100n);
  });

  it("go through to the cache for users, and leave the last one committed", async () => {
    await test.tenants("through");
    const crm = test.crm();
    await crm.users.rename("through", 1, "Grace");
    expect(
      await statementsOf(async () => expect(await crm.users.get("through", 1)).toMatchObject({ name: "Grace" })),
    ).toBe(0);
    await Promise.all(["a", "b", "c", "d"].map((name) => crm.users.rename("through", 1, name)));
    const [row] = await test.database.query<{ name: string }>(
      "select name from users where tenant = 'through' and id = 1",
    );
    expect(await crm.users.get("through", 1)).toMatchObject({ name: row?.name });
  });

  it("show in every process that shares a tier", async () => {
    await test.tenants("processes");
    const shared = new SharedMemory();
    const here = test.crm({ tiers: [memory(), shared.factory()] });
    const there = test.crm({ tiers: [memory(), shared.factory()] });
    await there.products.listByCategory("processes", 1);
    await here.categories.rename("processes", 1, "Renamed here");
    await expect
      .poll(() => there.products.listByCategory("processes", 1))
      .toMatchObject([{ category: "Renamed here" }, {}, {}]);
  });
});

describe("the CRM's events", () => {
  it("drop what others wrote, once they have been published", async () => {
    await test.tenants("events");
    const crm = test.crm();
    const read = () =>
      Promise.all([
        crm.contacts.getById("events", 1),
        crm.contacts.getById("events", 2),
        crm.products.getById("events", 4),
        crm.users.greeting("events", 1),
      ]);
    await read();
    await test.database.query("update contacts set name = 'imported' where tenant = 'events' and id = 1");
    await test.database.query("update categories set name = 'rearranged' where tenant = 'events'");
    expect(await statementsOf(read)).toBe(0);
    await crm.events.publish("contacts imported", { tenant: "events", ids: [1] });
    await crm.events.publish("category changed", { tenant: "events", id: 1 });
    const [contact, , product] = await read();
    expect([contact?.name, product?.category]).toEqual(["imported", "rearranged"]);
    await crm.users.rename("events", 1, "Ada");
    await crm.events.publish("user renamed", { tenant: "events", id: 1 });
    expect(await crm.users.greeting("events", 1)).toBe("Hello Ada");
  });

  it("drop everything of a tenant that was restored", async () => {
    await test.tenants("restored");
    const crm = test.crm();
    const read = () =>
      Promise.all([
        crm.contacts.getById("restored", 1),
        crm.deals.getById("restored", 1),
        crm.categories.getById("restored", 1),
        crm.products.getById("restored", 1),
        crm.settings.get("restored", "theme"),
        crm.users.get("restored", 1),
        crm.reports.pipeline("restored"),
      ]);
    await read();
    await crm.events.publish("tenant restored", { tenant: "restored" });
    expect(await statementsOf(read)).toBe(7);
  });

  it("tell the publisher when a handler failed", async () => {
    const crm = test.crm();
    await expect(crm.events.publish("contacts imported", { tenant: "", ids: [1] })).rejects.toMatchObject({
      code: "ERR_CACHE_ENTITY",
    });
  });
});

describe("the CRM's monitoring", () => {
  it("says for each entity whether it is on target", async () => {
    await test.tenants("monitor");
    const crm = test.crm();
    for (let read = 0; read < 10; read++) await crm.contacts.getById("monitor", 1);
    await crm.categories.getById("monitor", 1);
    const lines = reportLines(crm.cache.stats());
    expect(lines.map((line) => line.replaceAll(/\s+/g, " "))).toEqual([
      "contact 10 reads 1 misses 1 loads 90.0 % hits on target",
      "category 1 reads 1 misses 1 loads 0.0 % hits below target",
      "all 11 reads 2 misses 2 loads 81.8 % hits on target",
    ]);
  });
});
