import type { Crm } from "./crm.js";
import type { Database } from "./database.js";
import { reportLines } from "./monitor.js";

/** A day of the CRM, told step by step. Each step says what it cost the database. */
export async function playScenario(
  crm: Crm,
  database: Database,
  tenants: readonly [string, string],
  say: (line: string) => void,
): Promise<void> {
  const [acme, globex] = tenants;
  /** Runs a step and tells how many statements the database ran meanwhile. */
  const step = async <T>(what: string, act: () => Promise<T>, show: (result: T) => string): Promise<T> => {
    const before = database.statements;
    const result = await act();
    const statements = database.statements - before;
    say(
      `  ${what.padEnd(58)} ${String(statements).padStart(2)} ${statements === 1 ? "statement " : "statements"}  ${show(result)}`,
    );
    return result;
  };

  /** A write, and then what the database tells of it: whoever reads on in this process reads what was written. */
  const written = async <T>(write: Promise<T>): Promise<T> => {
    const result = await write;
    await crm.caughtUp();
    return result;
  };

  say("\nWarming at start");
  await step(
    "categories and settings of both tenants",
    () => crm.warm(tenants),
    ({ done, failed }) => `${done} loaded, ${failed} failed`,
  );
  await step(
    "the first request asks for the settings",
    () => crm.settings.all(acme),
    (all) => `${all.length} settings`,
  );

  say("\nReading");
  await step(
    "contact 1",
    () => crm.contacts.getById(acme, 1),
    (contact) => contact?.name ?? "none",
  );
  await step(
    "contact 1 again",
    () => crm.contacts.getById(acme, 1),
    () => crm.contacts.cache.key("getById", acme, 1),
  );
  await step(
    "contacts 1 to 5: only four are missing",
    () => crm.contacts.getMany(acme, [1, 2, 3, 4, 5]),
    (found) => `${found.length} contacts`,
  );
  const crowd = Array.from({ length: 100 }, () => "offer" as const);
  await step(
    "100 people open the same board at once",
    () => Promise.all(crowd.map((stage) => crm.deals.board(acme, stage))),
    ([cards]) => `${cards?.length} cards each`,
  );
  await step(
    "contact 1 of the other tenant",
    () => crm.contacts.getById(globex, 1),
    (contact) => contact?.name ?? "none",
  );
  await step(
    "a contact of nobody",
    () => crm.contacts.getById("", 1).catch((error: unknown) => error),
    (error) => (error as { code: string }).code,
  );

  say("\nWriting: nothing is invalidated by hand, the database tells of the row");
  await step(
    "contact 1 is renamed",
    () => written(crm.contacts.rename(acme, 1, "Ada Lovelace")),
    (contact) => contact?.name ?? "none",
  );
  await step(
    "contact 1, by id",
    () => crm.contacts.getById(acme, 1),
    (contact) => contact?.name ?? "none",
  );
  await step(
    "contact 2 was not touched",
    () => crm.contacts.getById(acme, 2),
    (contact) => contact?.name ?? "none",
  );
  const boardWith = (id: number) =>
    crm.deals.board(acme, "offer").then((cards) => cards.find((card) => card.contactId === id)?.contact);
  await step(
    "a board that does not show contact 1",
    () => boardWith(2),
    (name) => name ?? "none",
  );
  await step(
    "category 2 is renamed",
    () => written(crm.categories.rename(acme, 2, "Hardware")),
    (category) => category?.name ?? "none",
  );
  await step(
    "its products show the new name",
    () => crm.products.listByCategory(acme, 2),
    ([product]) => product?.category ?? "none",
  );

  say("\nWrite-through and cache-aside");
  await step(
    "user 1 is renamed",
    () => crm.users.rename(acme, 1, "Grace Hopper"),
    (user) => user?.name ?? "none",
  );
  await step(
    "user 1, once the feed has told of the row as well",
    () => written(Promise.resolve()).then(() => crm.users.get(acme, 1)),
    (user) => user?.name ?? "none",
  );
  await step(
    "a greeting made of it",
    () => crm.users.greeting(acme, 1),
    (greeting) => greeting,
  );

  say("\nSomebody else writes, and says nothing");
  await step(
    "contact 3",
    () => crm.contacts.getById(acme, 3),
    (contact) => contact?.name ?? "none",
  );
  const imported = "update contacts set name = 'Imported' where tenant = $1 and id = 3";
  await step(
    "a nightly job writes contact 3 by SQL",
    () => written(database.query(imported, [acme])),
    () => "",
  );
  await step(
    "contact 3 is what it is",
    () => crm.contacts.getById(acme, 3),
    (contact) => contact?.name ?? "none",
  );
  const cardsOf = (contact: number) =>
    crm.deals.board(acme, "won").then((cards) => cards.filter(({ contactId }) => contactId === contact).length);
  await step("deals of contact 11 on the board", () => cardsOf(11), String);
  const deleted = "delete from contacts where tenant = $1 and id = 11";
  await step(
    "contact 11 is deleted, and its deals with it",
    () => written(database.query(deleted, [acme])),
    () => "",
  );
  await step("deals of contact 11 on the board", () => cardsOf(11), String);

  say("\nAn event that shows in no row");
  await step(
    "a tenant leaves: nothing of it stays in memory",
    () => crm.events.publish("tenant left", { tenant: globex }),
    () => "",
  );
  await step(
    "contact 1 of that tenant",
    () => crm.contacts.getById(globex, 1),
    (contact) => contact?.name ?? "none",
  );

  say("\nA report, cached by a decorator");
  const wonOf = (sums: ReadonlyMap<string, bigint>) => `${sums.get("won") ?? 0n} cents won`;
  await step("the pipeline", () => crm.reports.pipeline(acme), wonOf);
  await step("the pipeline again", () => crm.reports.pipeline(acme), wonOf);
  await step(
    "deal 1 is won",
    () => written(crm.deals.move(acme, 1, "won")),
    (deal) => `${deal?.amount} cents`,
  );
  await step("the pipeline after that", () => crm.reports.pipeline(acme), wonOf);

  say("\nA busy morning: 4000 reads, and a write for every hundred");
  await step(
    "all of it",
    () => busyMorning(crm, tenants),
    (reads) => `${reads} reads`,
  );
  say("");
  for (const line of reportLines(crm.cache.stats())) say(`  ${line}`);
}

async function busyMorning(crm: Crm, tenants: readonly string[]): Promise<number> {
  const reads = 4_000;
  for (let turn = 0; turn < reads; turn++) {
    const tenant = tenants[turn % tenants.length] as string;
    // Few are asked for often and many seldom, as in life: the square of an even spread.
    const popular = 1 + Math.floor((((turn * 7919) % 1_000) ** 2 / 1_000_000) * 20);
    if (turn % 100 === 99) await crm.contacts.rename(tenant, popular, `Contact ${popular}, ${turn}`);
    switch (turn % 4) {
      case 0:
        await crm.contacts.getById(tenant, popular);
        break;
      case 1:
        await crm.products.getById(tenant, 1 + (popular % 12));
        break;
      case 2:
        await crm.settings.get(tenant, "currency");
        break;
      default:
        await crm.deals.getById(tenant, popular);
    }
  }
  return reads;
}
