import { tsImport } from "tsx/esm/api";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Crm } from "./crm.js";
import { reportLines } from "./monitor.js";
import type { TestCrm, testing } from "./testing.js";

const loaded = (await tsImport("./testing.ts", import.meta.url)) as { readonly testing: typeof testing };
const { startTestCrm, CACHE_TTL, MAX_STALENESS, FakeClock, SharedMemory, SqlContacts, SqlDeals, SqlProducts, memory } =
  loaded.testing;

let test: TestCrm;

beforeAll(async () => {
  test = await startTestCrm();
});

afterEach(() => test.closeFed());
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
    const crm = await test.fed();
    const readAll = () => Promise.all(hostile.map((tenant) => crm.contacts.getById(tenant, 2)));
    await readAll();
    await crm.contacts.rename("*", 2, "renamed");
    await crm.caughtUp();
    expect(await statementsOf(readAll)).toBe(1);
    await crm.events.publish("tenant left", { tenant: "global" });
    expect(await statementsOf(readAll)).toBe(1);
  });

  it.each(["", undefined, null])("have names: %j is refused before the database is asked", async (nobody) => {
    const crm = test.crm();
    const tenant = nobody as string;
    const refused = expect.objectContaining({ code: "ERR_CACHE_ENTITY" }) as unknown;
    const statements = await statementsOf(async () => {
      await expect(crm.contacts.getById(tenant, 1)).rejects.toEqual(refused);
      await expect(crm.contacts.getMany(tenant, [1])).rejects.toEqual(refused);
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
    const crm = await test.fed();
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
    await crm.caughtUp();
    const [byId, byEmail, card, found, other] = await read();
    expect([byId?.name, byEmail?.name, card?.contact, found[0]?.name]).toEqual([
      "Renamed",
      "Renamed",
      "Renamed",
      "Renamed",
    ]);
    expect(other?.name).toBe("Contact 20 of writes");
    await crm.contacts.rename("writes", id, "Renamed again");
    await crm.caughtUp();
    expect(await statementsOf(read)).toBe(4);
  });

  it("drop the products of a category that is renamed", async () => {
    await test.tenants("cascade");
    const crm = await test.fed();
    const read = () =>
      Promise.all([
        crm.products.listByCategory("cascade", 2),
        crm.products.listByCategory("cascade", 3),
        crm.products.getById("cascade", 1),
        crm.products.getById("cascade", 2),
      ]);
    await read();
    await crm.categories.rename("cascade", 2, "Hardware");
    await crm.caughtUp();
    expect(await statementsOf(read)).toBe(2);
    expect((await read())[0].map((product) => product.category)).toEqual(["Hardware", "Hardware", "Hardware"]);
    expect(await crm.products.getById("cascade", 1)).toMatchObject({ category: "Hardware" });
  });

  it("drop every product when they are all repriced", async () => {
    await test.tenants("prices");
    const crm = await test.fed();
    await crm.products.getById("prices", 1);
    expect(await crm.products.reprice("prices", 10)).toBe(12);
    await crm.caughtUp();
    expect(await crm.products.getById("prices", 1)).toEqual(await new SqlProducts(test.database).getById("prices", 1));
  });

  it("drop the report made of the deals", async () => {
    await test.tenants("report");
    const crm = await test.fed();
    const before = await crm.reports.pipeline("report");
    expect(await statementsOf(() => crm.reports.pipeline("report"))).toBe(0);
    await crm.deals.move("report", 1, "won");
    await crm.caughtUp();
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

  it("show in what was put aside about a user", async () => {
    await test.tenants("aside");
    const crm = await test.fed();
    expect(await crm.users.greeting("aside", 1)).toBe("Hello User 1 of aside");
    await crm.users.rename("aside", 1, "Ada");
    expect(await crm.users.get("aside", 1)).toMatchObject({ name: "Ada" });
    await crm.caughtUp();
    expect(await crm.users.greeting("aside", 1)).toBe("Hello Ada");
  });

  it("show in every process that shares a tier", async () => {
    await test.tenants("processes");
    const [here, there] = await twoProcesses();
    await there.products.listByCategory("processes", 1);
    await here.categories.rename("processes", 1, "Renamed here");
    await there.caughtUp();
    expect(await there.products.listByCategory("processes", 1)).toMatchObject([{ category: "Renamed here" }, {}, {}]);
  });

  it("are all forgotten where nobody tells of rows, once that is asked for", async () => {
    await test.tenants("unfed");
    const crm = test.crm();
    await crm.contacts.getById("unfed", 1);
    await crm.contacts.rename("unfed", 1, "Renamed");
    await crm.caughtUp();
    expect(await crm.contacts.getById("unfed", 1)).toMatchObject({ name: "Renamed" });
  });
});

/** Two processes of the CRM that share a tier, and a slot. */
async function twoProcesses(): Promise<readonly [Crm, Crm]> {
  const shared = new SharedMemory();
  const options = { tiers: [memory(), shared.factory()], slot: "test_both" };
  return [await test.fed(options), await test.fed(options)];
}

describe("a writer that knows of no cache", () => {
  /**
   * Reads into the memory of two processes, runs SQL, and reads on until both have the new answer.
   *
   * @returns how long after the commit the latest read began that had the old one, in milliseconds.
   */
  async function latenessOf<T>(
    sql: string,
    read: (crm: Crm) => Promise<T>,
    isNew: (answer: T) => boolean,
  ): Promise<number> {
    const both = await twoProcesses();
    for (const crm of both) {
      expect(isNew(await read(crm))).toBe(false);
      expect(await statementsOf(() => read(crm))).toBe(0);
    }
    await test.database.query(sql);
    const committed = performance.now();
    let latest = 0;
    for (const crm of both) {
      for (let late = performance.now() - committed; late <= 2 * MAX_STALENESS; late = performance.now() - committed) {
        if (isNew(await read(crm))) break;
        latest = Math.max(latest, late);
        await new Promise(setImmediate);
      }
    }
    return latest;
  }

  it("is seen in a contact, wherever it shows", async () => {
    await test.tenants("import");
    const late = await latenessOf(
      "update contacts set name = 'Imported' where tenant = 'import' and id = 2",
      async (crm) => [
        (await crm.contacts.getById("import", 2))?.name,
        (await crm.contacts.getByEmail("import", "c2@example.com"))?.name,
        (await crm.contacts.list("import", { skip: 1, limit: 1 }))[0]?.name,
        (await crm.contacts.search("import", "imported"))[0]?.name,
      ],
      (names) => names.every((name) => name === "Imported"),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen in what belongs to a row", async () => {
    await test.tenants("rearranged");
    const late = await latenessOf(
      "update categories set name = 'Rearranged' where tenant = 'rearranged'",
      async (crm) => [
        (await crm.categories.list("rearranged"))[0]?.name,
        (await crm.products.getById("rearranged", 4))?.category,
      ],
      (names) => names.every((name) => name === "Rearranged"),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen in what a foreign key deletes, and in the report made of it", async () => {
    await test.tenants("cascaded");
    const late = await latenessOf(
      "delete from contacts where tenant = 'cascaded'",
      async (crm) => [
        await crm.contacts.count("cascaded"),
        (await crm.contacts.getMany("cascaded", [1, 2])).length,
        (await crm.deals.getById("cascaded", 1)) === undefined ? 0 : 1,
        (await crm.deals.board("cascaded", "won")).length,
        (await crm.reports.pipeline("cascaded")).size,
      ],
      (counts) => counts.every((count) => count === 0),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen in settings and users", async () => {
    await test.tenants("settled");
    const late = await latenessOf(
      "with one as (update users set name = 'New' where tenant = 'settled') update settings set value = '\"New\"' where tenant = 'settled'",
      async (crm) => [
        (await crm.settings.get("settled", "theme"))?.value,
        (await crm.settings.all("settled"))[0]?.value,
        (await crm.users.get("settled", 1))?.name,
        (await crm.users.greeting("settled", 2)).slice("Hello ".length),
      ],
      (found) => found.every((one) => one === "New"),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen when it truncates a table", async () => {
    await test.tenants("emptied");
    const late = await latenessOf(
      "truncate deals",
      async (crm) => [(await crm.deals.board("emptied", "won")).length, (await crm.reports.pipeline("emptied")).size],
      (counts) => counts.every((count) => count === 0),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });
});

describe("the CRM's events", () => {
  it("drop everything of a tenant that left", async () => {
    await test.tenants("left");
    const crm = test.crm();
    const read = () =>
      Promise.all([
        crm.contacts.getById("left", 1),
        crm.deals.getById("left", 1),
        crm.categories.getById("left", 1),
        crm.products.getById("left", 1),
        crm.settings.get("left", "theme"),
        crm.users.get("left", 1),
        crm.reports.pipeline("left"),
      ]);
    await read();
    await crm.events.publish("tenant left", { tenant: "left" });
    expect(await statementsOf(read)).toBe(7);
  });

  it("tell the publisher when a handler failed", async () => {
    const crm = test.crm();
    await expect(crm.events.publish("tenant left", { tenant: "" })).rejects.toMatchObject({
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
