import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCache, type Cache } from "../../src/index.js";
import { SharedMemory } from "../../src/testing/index.js";
import { cachedTracker, MAX_STALENESS, warmTenant } from "./cached.js";
import type { Issue, Tracker } from "./model.js";
import { startTestTracker, type FedTracker, type TestTracker } from "./testing.js";

const OURS = "aurora";
const THEIRS = "blue-harbor";

let test: TestTracker;
beforeAll(async () => {
  test = await startTestTracker();
});
afterAll(() => test.stop());

let fed: FedTracker;
let cache: Cache;
let tracker: Tracker;
let issue: Issue;
beforeEach(async () => {
  fed = await test.cached();
  ({ cache, tracker } = fed);
  issue = await test.issueOf(OURS);
});
afterEach(() => fed.close());

/** The statements that `work` sends to the database. */
async function queriesOf(work: () => Promise<unknown>): Promise<number> {
  const before = test.database.queries;
  await work();
  return test.database.queries - before;
}

function reads(tenant: string, { id, key, projectId, reporterId }: Issue): Record<string, () => Promise<unknown>> {
  return {
    tenant: () => tracker.tenants.getById(tenant),
    project: () => tracker.projects.getById(tenant, projectId),
    projects: () => tracker.projects.list(tenant),
    user: () => tracker.users.getById(tenant, reporterId),
    id: () => tracker.issues.getById(tenant, id),
    many: () => tracker.issues.getByIds(tenant, [id, 999_999]),
    key: () => tracker.issues.getByKey(tenant, key),
    list: () => tracker.issues.listByProject(tenant, projectId, { page: 1, limit: 20 }),
    done: () => tracker.issues.listByProject(tenant, projectId, { status: "done", page: 1, limit: 20 }),
    search: () => tracker.issues.search(tenant, "invoice", 20),
    count: () => tracker.issues.count(tenant, { projectId }),
    total: () => tracker.issues.count(tenant, {}),
  };
}

/** Which of them ask the database when called again. */
async function askedAgain(of: Record<string, () => Promise<unknown>>): Promise<string[]> {
  const asked: string[] = [];
  for (const [name, read] of Object.entries(of)) {
    if ((await queriesOf(read)) > 0) {
      asked.push(name);
    }
  }
  return asked;
}

async function readAll(of: Record<string, () => Promise<unknown>>): Promise<void> {
  for (const read of Object.values(of)) {
    await read();
  }
}

describe("the cached tracker", () => {
  it("asks the database once for each read, and gives the same as without a cache", async () => {
    const cached = reads(OURS, issue);
    await readAll(cached);
    expect(await askedAgain(cached)).toEqual([]);
    const direct = await Promise.all([
      test.tracker.issues.getById(OURS, issue.id),
      test.tracker.issues.listByProject(OURS, issue.projectId, { page: 1, limit: 20 }),
    ]);
    expect(await Promise.all([cached["id"]?.(), cached["list"]?.()])).toEqual(direct);
  });

  it("asks once for many who ask at the same time", async () => {
    expect(
      await queriesOf(() => Promise.all(Array.from({ length: 50 }, () => tracker.issues.getById(OURS, issue.id)))),
    ).toBe(1);
  });

  it("asks once for all that is missing of many, and for nothing that is there", async () => {
    const other = await test.issueOf(OURS, 1);
    await tracker.issues.getById(OURS, issue.id);
    const asked: unknown[] = [];
    expect(
      await queriesOf(async () => asked.push(...(await tracker.issues.getByIds(OURS, [999_998, issue.id, other.id])))),
    ).toBe(1);
    expect(asked).toEqual([undefined, issue, other]);
    expect(await queriesOf(() => tracker.issues.getById(OURS, other.id))).toBe(0);
  });

  it("drops by an issue's write what shows it, and nothing else", async () => {
    const neighbour = await neighbourOf(issue);
    const cached = {
      ...reads(OURS, issue),
      "neighbour's id": () => tracker.issues.getById(OURS, neighbour.id),
      "neighbour's list": listOf(neighbour),
    };
    const theirs = reads(THEIRS, await test.issueOf(THEIRS));
    await readAll(cached);
    await readAll(theirs);
    await tracker.issues.update(OURS, issue.id, { priority: "high" });
    await fed.caughtUp();
    // "many" asks for the row that is not there: an absence goes with every write, which may be the one that ends it.
    const asked = await askedAgain(cached);
    expect(asked.filter((name) => name !== "search")).toEqual(["id", "many", "key", "list", "done", "count"]);
    expect(await askedAgain(theirs)).toEqual([]);
  });

  it("drops by a change of status the counts over all projects too", async () => {
    const cached = reads(OURS, issue);
    await readAll(cached);
    await tracker.issues.update(OURS, issue.id, { status: issue.status === "done" ? "todo" : "done" });
    await fed.caughtUp();
    expect(await askedAgain(cached)).toContain("total");
  });

  it("drops by a project's write its issues, and not those of others", async () => {
    const neighbour = await neighbourOf(issue);
    const cached = { ...reads(OURS, issue), "neighbour's id": () => tracker.issues.getById(OURS, neighbour.id) };
    await readAll(cached);
    await tracker.projects.update(OURS, issue.projectId, { name: "Another name" });
    await fed.caughtUp();
    expect(await askedAgain(cached)).toEqual(["project", "projects", "id", "key"]);
  });

  it("drops a search by a write of an issue it shows", async () => {
    const [shown] = await tracker.issues.search(OURS, "crash", 20);
    await tracker.issues.update(OURS, shown?.id ?? 0, { priority: "urgent" });
    const [again] = await tracker.issues.search(OURS, "crash", 20);
    expect(again).toMatchObject({ id: shown?.id, version: (shown?.version ?? 0) + 1 });
  });

  it("hears from the feed of a write that failed and had committed all the same", async () => {
    const lost: Tracker = { ...test.tracker, issues: { ...test.tracker.issues, update: lostAnswer } };
    await fed.close();
    fed = await test.cached({ source: lost });
    ({ cache, tracker } = fed);
    await readAll(reads(OURS, issue));
    await expect(tracker.issues.update(OURS, issue.id, { title: "Written all the same" })).rejects.toThrow(
      "connection lost",
    );
    await fed.caughtUp();
    expect(await tracker.issues.getById(OURS, issue.id)).toMatchObject({ title: "Written all the same" });
    expect((await tracker.issues.listByProject(OURS, issue.projectId, { page: 1, limit: 1 }))[0]).toMatchObject({
      id: issue.id,
      title: "Written all the same",
    });
  });

  it("answers users of a warmed tenant without asking the database", async () => {
    const projects = await warmTenant(cache, tracker, OURS);
    expect(projects).toBe((await test.tracker.projects.list(OURS)).length);
    const [newest] = await test.tracker.issues.listByProject(OURS, issue.projectId, { page: 1, limit: 1 });
    expect(
      await queriesOf(() =>
        Promise.all([tracker.projects.getById(OURS, issue.projectId), tracker.issues.getById(OURS, newest?.id ?? 0)]),
      ),
    ).toBe(0);
  });

  it("is not answered without a tenant", async () => {
    await expect(tracker.issues.getById("", issue.id)).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    await expect(tracker.issues.listByProject("", issue.projectId, { page: 1, limit: 1 })).rejects.toMatchObject({
      code: "ERR_CACHE_ENTITY",
    });
  });
});

describe("the tracker without a feed", () => {
  it("drops what its own writes make outdated, and sees others' when their time is over", async () => {
    const lonely = createCache({ name: "lonely" });
    const { issues } = cachedTracker(lonely, test.tracker);
    try {
      await issues.listByProject(OURS, issue.projectId, { page: 1, limit: 1 });
      const written = await issues.update(OURS, issue.id, { title: "By the API" });
      expect(await issues.getById(OURS, issue.id)).toEqual(written);
      expect((await issues.listByProject(OURS, issue.projectId, { page: 1, limit: 1 }))[0]?.title).toBe("By the API");
      await test.database.query("update issues set title = 'By SQL' where id = $1", [issue.id]);
      expect(await issues.getById(OURS, issue.id)).toEqual(written);
    } finally {
      await lonely.close();
    }
  });
});

describe("a writer that knows of no cache", () => {
  let both: readonly [FedTracker, FedTracker];
  beforeEach(async () => {
    const shared = new SharedMemory();
    const options = { name: "both", slot: "test_both", tiers: [shared.factory()] };
    both = [await test.cached(options), await test.cached(options)];
    expect(both.map(({ cache: one }) => one.stats().feed?.["role"])).toEqual(["leader", "standby"]);
  });
  afterEach(async () => {
    for (const one of both.toReversed()) await one.close();
  });

  /**
   * Runs SQL past the service, with what `read` gives in the memory of both, and reads on until both have the new answer.
   *
   * @returns how long after the commit the latest read began that had the old one, in milliseconds.
   */
  async function latenessOf<T>(
    sql: string,
    read: (of: Tracker) => Promise<T>,
    isNew: (answer: T) => boolean,
  ): Promise<number> {
    for (const one of both) {
      expect(isNew(await read(one.tracker))).toBe(false);
      expect(await queriesOf(() => read(one.tracker))).toBe(0);
    }
    await test.database.run(sql);
    const committed = performance.now();
    let latest = 0;
    for (const one of both) {
      for (let late = performance.now() - committed; late <= 2 * MAX_STALENESS; late = performance.now() - committed) {
        if (isNew(await read(one.tracker))) break;
        latest = Math.max(latest, late);
        await new Promise(setImmediate);
      }
      // What is loaded from now on is kept.
      await one.caughtUp();
      await read(one.tracker);
      expect(await queriesOf(() => read(one.tracker))).toBe(0);
    }
    return latest;
  }

  it("is seen in a row, by id and by key, and in what shows it", async () => {
    const { id, key, projectId } = issue;
    const late = await latenessOf(
      `update issues set title = 'Zygote' where id = ${id}`,
      async ({ issues }) => [
        await issues.getById(OURS, id),
        await issues.getByKey(OURS, key),
        (await issues.listByProject(OURS, projectId, { page: 1, limit: 1 }))[0],
      ],
      (found) => found.every((one) => one?.title === "Zygote"),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen in both projects when it moves an issue, and in the counts by status", async () => {
    const neighbour = await neighbourOf(issue);
    const before = await test.tracker.issues.count(OURS, { status: "review" });
    const late = await latenessOf(
      `update issues set project_id = ${neighbour.projectId}, status = 'review' where id = ${issue.id}`,
      async ({ issues }) => {
        const [left, come] = await Promise.all(
          [issue.projectId, neighbour.projectId].map((id) => issues.listByProject(OURS, id, { page: 1, limit: 100 })),
        );
        return { left, come, count: await issues.count(OURS, { status: "review" }) };
      },
      ({ left, come, count }) =>
        left?.some(({ id }) => id === issue.id) === false &&
        come?.some(({ id }) => id === issue.id) === true &&
        count === before + (issue.status === "review" ? 0 : 1),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen in the issues that its project takes along, and in their counts", async () => {
    const { id, key, projectId } = issue;
    const late = await latenessOf(
      `delete from projects where id = ${projectId}`,
      async ({ issues, projects }) => [
        await projects.getById(OURS, projectId),
        (await projects.list(OURS)).find((project) => project.id === projectId),
        await issues.getById(OURS, id),
        await issues.getByKey(OURS, key),
        (await issues.listByProject(OURS, projectId, { page: 1, limit: 5 }))[0],
        (await issues.count(OURS, { projectId })) === 0 ? undefined : "some",
      ],
      (found) => found.every((one) => one === undefined),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });

  it("is seen when it truncates a table", async () => {
    const late = await latenessOf(
      "truncate issues",
      async ({ issues }) => [
        await issues.getById(OURS, issue.id),
        (await issues.search(OURS, "crash", 5))[0],
        (await issues.count(OURS, {})) === 0 ? undefined : "some",
      ],
      (found) => found.every((one) => one === undefined),
    );
    expect(late).toBeLessThanOrEqual(MAX_STALENESS);
  });
});

/** An issue of the same tenant in another project. */
async function neighbourOf({ projectId, tenantId }: Issue): Promise<Issue> {
  const [row] = await test.database.query<{ id: number }>(
    "select id from issues where tenant_id = $1 and project_id <> $2 order by id limit 1",
    [tenantId, projectId],
  );
  return (await test.tracker.issues.getById(tenantId, row?.id ?? 0)) as Issue;
}

function listOf({ tenantId, projectId }: Issue): () => Promise<unknown> {
  return () => tracker.issues.listByProject(tenantId, projectId, { page: 1, limit: 20 });
}

/** Commits, and loses its answer. */
async function lostAnswer(...args: Parameters<Tracker["issues"]["update"]>): Promise<Issue | undefined> {
  await test.tracker.issues.update(...args);
  throw new Error("connection lost");
}
