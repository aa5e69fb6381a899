import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCache, type Cache } from "../../src/index.js";
import { cachedTracker, warmTenant } from "./cached.js";
import type { Issue, Tracker } from "./model.js";
import { startTestTracker, type TestTracker } from "./testing.js";

const OURS = "aurora";
const THEIRS = "blue-harbor";

let test: TestTracker;
beforeAll(async () => {
  test = await startTestTracker();
});
afterAll(() => test.stop());

let cache: Cache;
let tracker: Tracker;
let issue: Issue;
beforeEach(async () => {
  cache = createCache({ name: "test" });
  tracker = cachedTracker(cache, test.tracker);
  issue = await test.issueOf(OURS);
});
afterEach(() => cache.close());

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
    analytics: () => tracker.analytics.progress(tenant),
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
      test.tracker.analytics.progress(OURS),
    ]);
    expect(await Promise.all([cached["id"]?.(), cached["list"]?.(), cached["analytics"]?.()])).toEqual(direct);
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
    // "many" asks for the row that is not there: an absence goes with every write, which may be the one that ends it.
    const asked = await askedAgain(cached);
    expect(asked.filter((name) => name !== "search")).toEqual(["id", "many", "key", "list", "done", "count"]);
    expect(await askedAgain(theirs)).toEqual([]);
  });

  it("drops by a change of status the counts over all projects too", async () => {
    const cached = reads(OURS, issue);
    await readAll(cached);
    await tracker.issues.update(OURS, issue.id, { status: issue.status === "done" ? "todo" : "done" });
    expect(await askedAgain(cached)).toContain("total");
  });

  it("drops by a project's write its issues, and not those of others", async () => {
    const neighbour = await neighbourOf(issue);
    const cached = { ...reads(OURS, issue), "neighbour's id": () => tracker.issues.getById(OURS, neighbour.id) };
    await readAll(cached);
    await tracker.projects.update(OURS, issue.projectId, { name: "Another name" });
    expect(await askedAgain(cached)).toEqual(["project", "projects", "id", "key"]);
  });

  it("drops a search by a write of an issue it shows", async () => {
    const [shown] = await tracker.issues.search(OURS, "crash", 20);
    await tracker.issues.update(OURS, shown?.id ?? 0, { priority: "urgent" });
    const [again] = await tracker.issues.search(OURS, "crash", 20);
    expect(again).toMatchObject({ id: shown?.id, version: (shown?.version ?? 0) + 1 });
  });

  it("drops the lists of the tenant when a write fails, since it may have committed", async () => {
    const lost: Tracker = { ...test.tracker, issues: { ...test.tracker.issues, update: lostAnswer } };
    await cache.close();
    cache = createCache({ name: "test" });
    tracker = cachedTracker(cache, lost);
    await readAll(reads(OURS, issue));
    await expect(tracker.issues.update(OURS, issue.id, { title: "Written all the same" })).rejects.toThrow(
      "connection lost",
    );
    expect(await tracker.issues.getById(OURS, issue.id)).toMatchObject({ title: "Written all the same" });
    expect((await tracker.issues.listByProject(OURS, issue.projectId, { page: 1, limit: 1 }))[0]).toMatchObject({
      id: issue.id,
      title: "Written all the same",
    });
  });

  it("does not see a write past it, until it is told", async () => {
    const before = await tracker.issues.getById(OURS, issue.id);
    await test.database.query("update issues set title = 'Past the cache' where id = $1", [issue.id]);
    expect(await tracker.issues.getById(OURS, issue.id)).toEqual(before);
    await cache.invalidate({ entity: "issue", scope: OURS });
    expect(await tracker.issues.getById(OURS, issue.id)).toMatchObject({ title: "Past the cache" });
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
