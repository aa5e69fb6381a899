import type { AddressInfo } from "node:net";
import type { Server } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApi } from "./api.js";
import type { Issue } from "./model.js";
import { startTestTracker, type FedTracker, type TestTracker } from "./testing.js";

const OURS = "aurora";
const THEIRS = "blue-harbor";

let test: TestTracker;
beforeAll(async () => {
  test = await startTestTracker();
});
afterAll(() => test.stop());

interface Answer {
  status: number;
  body: unknown;
}

describe.each(["from the database", "through the cache"])("the API %s", (how) => {
  let cached: FedTracker | undefined;
  const failures: unknown[] = [];
  let api: Server;
  let root: string;
  let ours: Issue;
  let theirs: Issue;

  beforeAll(async () => {
    if (how === "through the cache") cached = await test.cached();
    api = createApi(cached?.tracker ?? test.tracker, {
      stats: () => ({ how }),
      onError: (error) => failures.push(error),
    });
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    root = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    ours = await test.issueOf(OURS);
    theirs = await test.issueOf(THEIRS);
  });
  afterAll(async () => {
    api.closeAllConnections();
    await new Promise((resolve) => api.close(resolve));
    await cached?.close();
  });

  async function call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(root + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }
  const get = (path: string): Promise<Answer> => call("GET", path);
  const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

  it("answers each kind of thing, with its version", async () => {
    const at = `/tenants/${OURS}`;
    const issue = json(await test.tracker.issues.getById(OURS, ours.id));
    expect(await get(`${at}/issues/${ours.id}`)).toEqual({ status: 200, body: issue });
    expect(await get(`${at}/issues/by-key/${ours.key}`)).toEqual({ status: 200, body: issue });
    expect((await get(`${at}/projects/${ours.projectId}`)).body).toMatchObject({
      id: ours.projectId,
      version: ours.projectVersion,
    });
    expect((await get(`${at}/users/${ours.reporterId}`)).body).toMatchObject({ id: ours.reporterId, version: 1 });
    expect((await get(at)).body).toMatchObject({ id: OURS, version: 1 });
    expect((await get(`${at}/count`)).body).toEqual({ count: await test.tracker.issues.count(OURS, {}) });
    await expect
      .poll(async () => (await get(`${at}/analytics`)).body, { timeout: 10_000 })
      .toEqual({
        asOf: expect.stringMatching(/^20\d\d-.*Z$/) as unknown,
        projects: json((await test.tracker.analytics.progress(OURS)).projects),
      });
    expect((await get("/stats")).body).toEqual({ how });
    const list = (await get(`${at}/projects/${ours.projectId}/issues?limit=5`)).body as {
      issues: { version: number }[];
    };
    expect(list.issues).toEqual(
      json(await test.tracker.issues.listByProject(OURS, ours.projectId, { page: 1, limit: 5 })),
    );
    const found = (await get(`${at}/search?q=the+crash&limit=3`)).body as { issues: unknown[] };
    expect(found.issues).toEqual(json(await test.tracker.issues.search(OURS, "crash the", 3)));
    expect(found.issues.length).toBe(3);
  });

  it("never answers an older version than a PATCH has answered, in any view", async () => {
    const at = `/tenants/${OURS}`;
    const views = [
      `${at}/issues/${ours.id}`,
      `${at}/issues/by-key/${ours.key}`,
      `${at}/projects/${ours.projectId}/issues?limit=100`,
      `${at}/projects/${ours.projectId}/issues?limit=100&page=1`,
      `${at}/search?q=${encodeURIComponent(ours.title)}&limit=100`,
    ];
    const versionIn = ({ body }: Answer): number | undefined => {
      const { issues } = body as { issues?: Issue[] };
      return (issues?.find((issue) => issue.id === ours.id) ?? (body as Issue)).version;
    };
    for (let round = 0; round < 10; round++) {
      await Promise.all(views.map(get));
      const [patched] = await Promise.all([
        call("PATCH", `${at}/issues/${ours.id}`, { priority: round % 2 === 0 ? "high" : "low" }),
        // Loads that began before the write has committed must not put the old row back.
        ...views.map(get),
      ]);
      const { version } = patched.body as Issue;
      expect((await Promise.all(views.map(get))).map(versionIn)).toEqual(views.map(() => version));
    }
  });

  it("shows a project's new name in its issues at once", async () => {
    const at = `/tenants/${OURS}`;
    await get(`${at}/issues/${ours.id}`);
    const project = (await call("PATCH", `${at}/projects/${ours.projectId}`, { name: `Renamed ${how}` })).body;
    expect((await get(`${at}/issues/${ours.id}`)).body).toMatchObject({
      projectName: `Renamed ${how}`,
      projectVersion: (project as { version: number }).version,
    });
    expect((await get(`${at}/projects/${ours.projectId}`)).body).toEqual(project);
  });

  it("shows what is created, and no more what is deleted, in lists and counts too", async () => {
    const at = `/tenants/${OURS}`;
    const [listed, counted, all] = [
      `${at}/projects/${ours.projectId}/issues`,
      `${at}/count?project=${ours.projectId}`,
      `${at}/count`,
    ];
    const countIn = ({ body }: Answer): number => (body as { count: number }).count;
    const before = await Promise.all([get(listed), get(counted), get(all)]);
    const next =
      ((await test.database.query<{ last: number }>("select max(id) as last from issues", []))[0]?.last ?? 0) + 1;
    // Asked for too early; "not found" must not be remembered past its creation.
    expect((await get(`${at}/issues/${next}`)).status).toBe(404);
    const created = (
      await call("POST", `${at}/issues`, { projectId: ours.projectId, reporterId: ours.reporterId, title: "Created" })
    ).body as Issue;
    const [list, count, total] = await Promise.all([get(listed), get(counted), get(all)]);
    expect((list.body as { issues: Issue[] }).issues[0]?.id).toBe(created.id);
    expect([countIn(count), countIn(total)]).toEqual([countIn(before[1]) + 1, countIn(before[2]) + 1]);
    // The sequence may have skipped a number.
    expect((await get(`${at}/issues/${created.id}`)).body).toEqual(created);
    expect((await get(`${at}/issues/by-key/${created.key}`)).body).toEqual(created);

    expect(await call("DELETE", `${at}/issues/${created.id}`)).toEqual({ status: 200, body: created });
    expect((await get(`${at}/issues/${created.id}`)).status).toBe(404);
    expect((await get(`${at}/issues/by-key/${created.key}`)).status).toBe(404);
    expect((await Promise.all([listed, counted, all].map(get))).map(({ body }) => body)).toEqual(
      before.map(({ body }) => body),
    );
  });

  it("counts by status as issues move", async () => {
    const at = `/tenants/${OURS}`;
    const count = async (): Promise<number> =>
      ((await get(`${at}/count?status=review`)).body as { count: number }).count;
    await call("PATCH", `${at}/issues/${ours.id}`, { status: "todo" });
    const before = await count();
    await call("PATCH", `${at}/issues/${ours.id}`, { status: "review" });
    expect(await count()).toBe(before + 1);
  });

  it("changes many at once, each of them seen at once", async () => {
    const at = `/tenants/${OURS}`;
    const ids = [ours.id, (await test.issueOf(OURS, 9)).id, (await test.issueOf(OURS, 10)).id];
    await Promise.all(ids.map((id) => get(`${at}/issues/${id}`)));
    const changed = (await call("PATCH", `${at}/issues`, { ids: [...ids, theirs.id], changes: { priority: "lowest" } }))
      .body as { issues: Issue[] };
    expect(changed.issues.map(({ id }) => id)).toEqual(ids.toSorted((a, b) => a - b));
    for (const issue of changed.issues) {
      expect((await get(`${at}/issues/${issue.id}`)).body).toEqual(issue);
    }
  });

  it("keeps tenants apart, whoever was read first", async () => {
    expect((await get(`/tenants/${THEIRS}/issues/${theirs.id}`)).status).toBe(200);
    const at = `/tenants/${OURS}`;
    for (const path of [
      `${at}/issues/${theirs.id}`,
      `${at}/projects/${theirs.projectId}`,
      `${at}/users/${theirs.reporterId}`,
      `/tenants/nobody`,
    ]) {
      expect((await get(path)).status).toBe(404);
    }
    expect((await get(`${at}/projects/${theirs.projectId}/issues`)).body).toEqual({ issues: [] });
    expect((await get(`${at}/count?project=${theirs.projectId}`)).body).toEqual({ count: 0 });
    for (const [method, body] of [
      ["PATCH", { title: "Ours now" }],
      ["DELETE", undefined],
    ] as const) {
      expect((await call(method, `${at}/issues/${theirs.id}`, body)).status).toBe(404);
    }
    expect((await call("PATCH", `${at}/issues/${ours.id}`, { assigneeId: theirs.reporterId })).status).toBe(400);
    expect((await get(`/tenants/${THEIRS}/issues/${theirs.id}`)).body).toEqual(json(theirs));
  });

  it("gives each of two tenants with the same key its own issue", async () => {
    const [shared] = await test.database.query<{ key: string }>(
      "select a.key from issues a join issues b on a.key = b.key where a.tenant_id = $1 and b.tenant_id = $2 limit 1",
      [OURS, THEIRS],
    );
    const of = async (tenant: string): Promise<Issue> =>
      (await get(`/tenants/${tenant}/issues/by-key/${shared?.key}`)).body as Issue;
    expect([(await of(OURS)).tenantId, (await of(THEIRS)).tenantId, (await of(OURS)).tenantId]).toEqual([
      OURS,
      THEIRS,
      OURS,
    ]);
  });

  it.each([
    ["GET", "/tenants/aurora/issues/seven", undefined, 400],
    ["GET", "/tenants/aurora/issues/0", undefined, 400],
    ["GET", "/tenants/aurora/issues/99999999999", undefined, 400],
    ["GET", "/tenants/aurora/projects/1/issues?limit=101", undefined, 400],
    ["GET", "/tenants/aurora/projects/1/issues?page=0", undefined, 400],
    ["GET", "/tenants/aurora/projects/1/issues?status=lost", undefined, 400],
    ["GET", "/tenants/aurora/search?q=", undefined, 400],
    ["GET", "/tenants/aurora/search?q=%00", undefined, 400],
    ["GET", "/tenants/auro%00ra/issues/1", undefined, 400],
    ["GET", "/tenants/%ff/issues/1", undefined, 400],
    ["GET", "/tenants//issues/1", undefined, 404],
    ["GET", "/tenants/aurora/nothing/1", undefined, 404],
    ["GET", "/tenants/aurora/issues/by-key/NONE-1", undefined, 404],
    ["DELETE", "/tenants/aurora/projects/1", undefined, 404],
    ["PATCH", "/tenants/aurora/issues/1", "title", 400],
    ["PATCH", "/tenants/aurora/issues/1", { title: "" }, 400],
    ["PATCH", "/tenants/aurora/issues/1", { title: "a\0b" }, 400],
    ["PATCH", "/tenants/aurora/issues/1", { labels: ["a,b"] }, 400],
    ["PATCH", "/tenants/aurora/issues/1", { description: "x".repeat(70_000) }, 413],
    ["PATCH", "/tenants/aurora/issues", { ids: [], changes: {} }, 400],
    ["POST", "/tenants/aurora/issues", { title: "No project" }, 400],
    ["POST", "/tenants/nobody/issues", { title: "x", projectId: 1, reporterId: 1 }, 404],
  ])("refuses %s %s %j with %i", async (method, path, body, status) => {
    const answer = await call(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.body).toHaveProperty("error");
    expect(failures).toEqual([]);
  });
});
