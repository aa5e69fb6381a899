import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "./database.js";
import { createDataset } from "./dataset.js";
import { startTestTracker, type TestTracker } from "./testing.js";

const OURS = "aurora";
const THEIRS = "blue-harbor";

let test: TestTracker;
beforeAll(async () => {
  test = await startTestTracker();
}, 60_000);
afterAll(() => test.stop());

describe("the data set", () => {
  it("is the same rows for the same seed, and others for another", async () => {
    const rows = async (seed: number): Promise<unknown> => {
      await test.database.run("drop schema if exists again cascade; create schema again");
      const database = openDatabase(test.url, { schema: "again", connections: 1 });
      try {
        await createDataset(database, { seed, tenants: 2, projects: 4, users: 10, issues: 50 });
        return await database.query(
          "select md5(string_agg(i::text, ' ' order by id)) as issues, (select md5(string_agg(u.email, ' ' order by id)) from users u) as users from issues i",
          [],
        );
      } finally {
        await database.close();
      }
    };
    const first = await rows(7);
    expect(await rows(7)).toEqual(first);
    expect(await rows(8)).not.toEqual(first);
  });

  it("numbers the issues of each project from 1 without a gap", async () => {
    const gaps = await test.database.query(
      `select p.key from projects p join issue_numbers n on n.project_id = p.id
       where (select count(*) from issues i where i.project_id = p.id) <> n.last
          or not exists (select from issues i where i.project_id = p.id and i.key = p.key || '-' || n.last)`,
      [],
    );
    expect(gaps).toEqual([]);
  });

  it("gives two tenants the same key now and then, so that isolation is worth testing", async () => {
    const shared = await test.database.query(
      "select key from issues group by key having count(distinct tenant_id) > 1",
      [],
    );
    expect(shared.length).toBeGreaterThan(0);
  });
});

describe("a version", () => {
  it("grows by one with every update, whoever makes it", async () => {
    const issue = await test.issueOf(OURS);
    expect((await test.tracker.issues.update(OURS, issue.id, { status: "review" }))?.version).toBe(issue.version + 1);
    await test.database.query("update issues set title = title where id = $1", [issue.id]);
    const now = await test.tracker.issues.getById(OURS, issue.id);
    expect(now?.version).toBe(issue.version + 2);
    expect(now?.updatedAt.getTime()).toBeGreaterThan(issue.updatedAt.getTime());
  });

  it("cannot be set by a writer", async () => {
    const issue = await test.issueOf(OURS, 1);
    await test.database.query("update issues set version = 99 where id = $1", [issue.id]);
    expect((await test.tracker.issues.getById(OURS, issue.id))?.version).toBe(issue.version + 1);
  });

  it("of a project moves when the project changes, and not when it gets an issue", async () => {
    const issue = await test.issueOf(OURS, 2);
    await test.tracker.issues.create(OURS, {
      projectId: issue.projectId,
      title: "One more",
      reporterId: issue.reporterId,
    });
    expect((await test.tracker.projects.getById(OURS, issue.projectId))?.version).toBe(issue.projectVersion);
    await test.tracker.projects.update(OURS, issue.projectId, { name: "Renamed" });
    expect(await test.tracker.issues.getById(OURS, issue.id)).toMatchObject({
      projectName: "Renamed",
      projectVersion: issue.projectVersion + 1,
    });
  });
});

describe("an issue", () => {
  it("is created with the next number of its project", async () => {
    const { projectId, reporterId } = await test.issueOf(OURS);
    const create = () => test.tracker.issues.create(OURS, { projectId, title: "New", reporterId, labels: ["bug"] });
    const [first, second] = [await create(), await create()];
    const numberOf = (key: string | undefined) => Number(key?.split("-").at(-1));
    expect(numberOf(second?.key)).toBe(numberOf(first?.key) + 1);
    expect(first).toMatchObject({ version: 1, status: "backlog", labels: ["bug"], assigneeId: null });
    expect(await test.tracker.issues.getByKey(OURS, first?.key ?? "")).toEqual(first);
  });

  it("keeps what an update does not name, and can lose its assignee", async () => {
    const issue = await test.issueOf(OURS, 3);
    const changed = await test.tracker.issues.update(OURS, issue.id, { assigneeId: null, labels: ["docs", "ux"] });
    expect(changed).toMatchObject({
      assigneeId: null,
      labels: ["docs", "ux"],
      title: issue.title,
      description: issue.description,
      priority: issue.priority,
    });
  });

  it("is gone after its deletion, which answers what it was", async () => {
    const issue = await test.issueOf(OURS, 4);
    expect(await test.tracker.issues.delete(OURS, issue.id)).toEqual(issue);
    expect(await test.tracker.issues.getById(OURS, issue.id)).toBeUndefined();
    expect(await test.tracker.issues.delete(OURS, issue.id)).toBeUndefined();
  });

  it("is one of many in a bulk update that passes over what is not there", async () => {
    const [a, b] = [await test.issueOf(OURS, 5), await test.issueOf(OURS, 6)];
    const changed = await test.tracker.issues.bulkUpdate(OURS, [b.id, a.id, 999_999], { priority: "urgent" });
    expect(changed.map(({ id, version, priority }) => [id, version, priority])).toEqual([
      [a.id, a.version + 1, "urgent"],
      [b.id, b.version + 1, "urgent"],
    ]);
  });
});

describe("a query", () => {
  it("lists a project's issues newest first, in pages that neither overlap nor leave one out", async () => {
    const { projectId } = await test.issueOf(OURS);
    const total = await test.tracker.issues.count(OURS, { projectId });
    const pages = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((page) =>
        test.tracker.issues.listByProject(OURS, projectId, { page, limit: 20 }),
      ),
    );
    const listed = pages.flat();
    expect(listed.length).toBe(total);
    expect(new Set(listed.map(({ id }) => id)).size).toBe(total);
    expect(listed.map(({ updatedAt }) => updatedAt.getTime())).toEqual(
      listed.map(({ updatedAt }) => updatedAt.getTime()).sort((x, y) => y - x),
    );
  });

  it("filters by status, in lists and counts alike", async () => {
    const { projectId } = await test.issueOf(OURS);
    const done = await test.tracker.issues.listByProject(OURS, projectId, { status: "done", page: 1, limit: 100 });
    expect(done.length).toBeGreaterThan(0);
    expect(done.every(({ status }) => status === "done")).toBe(true);
    expect(await test.tracker.issues.count(OURS, { projectId, status: "done" })).toBe(done.length);
  });

  it("finds issues by the words of their titles", async () => {
    const found = await test.tracker.issues.search(OURS, "crash opening", 5);
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ title }) => title.startsWith("Crash when opening"))).toBe(true);
  });

  it("adds up a tenant's issues by project and status", async () => {
    const { projects } = await test.tracker.analytics.progress(OURS);
    const sum = projects.flatMap(({ counts }) => Object.values(counts)).reduce((a, b) => a + b, 0);
    expect(sum).toBe(await test.tracker.issues.count(OURS, {}));
  });

  it("answers many ids in the order asked, with nothing where there is nothing", async () => {
    const [a, b] = [await test.issueOf(OURS, 5), await test.issueOf(OURS, 6)];
    const found = await test.tracker.issues.getByIds(OURS, [b.id, 999_999, a.id]);
    expect(found.map((issue) => issue?.id)).toEqual([b.id, undefined, a.id]);
  });
});

describe("a tenant", () => {
  it("neither reads nor changes another's rows", async () => {
    const theirs = await test.issueOf(THEIRS);
    const { issues, projects, users } = test.tracker;
    expect(await issues.getById(OURS, theirs.id)).toBeUndefined();
    expect(await issues.getByIds(OURS, [theirs.id])).toEqual([undefined]);
    expect(await issues.listByProject(OURS, theirs.projectId, { page: 1, limit: 20 })).toEqual([]);
    expect(await issues.count(OURS, { projectId: theirs.projectId })).toBe(0);
    expect(await issues.update(OURS, theirs.id, { title: "Mine now" })).toBeUndefined();
    expect(await issues.bulkUpdate(OURS, [theirs.id], { title: "Mine now" })).toEqual([]);
    expect(await issues.delete(OURS, theirs.id)).toBeUndefined();
    expect(await issues.create(OURS, { projectId: theirs.projectId, title: "Mine", reporterId: 1 })).toBeUndefined();
    expect(await projects.getById(OURS, theirs.projectId)).toBeUndefined();
    expect(await projects.update(OURS, theirs.projectId, { name: "Mine" })).toBeUndefined();
    expect(await users.getById(OURS, theirs.reporterId)).toBeUndefined();
    expect(await test.issueOf(THEIRS)).toEqual(theirs);
  });

  it("cannot have another's people on its issues", async () => {
    const ours = await test.issueOf(OURS, 7);
    const theirs = await test.issueOf(THEIRS);
    await expect(test.tracker.issues.update(OURS, ours.id, { assigneeId: theirs.reporterId })).rejects.toMatchObject({
      code: "23503",
    });
  });
});
