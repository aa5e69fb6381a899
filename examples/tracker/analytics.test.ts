import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCache, type Cache } from "../../src/index.js";
import { viewAnalytics, type ViewAnalytics } from "./analytics.js";
import { startTestTracker, type TestTracker } from "./testing.js";

const OURS = "aurora";
/** Longer than the view waits between two refreshes. */
const WAIT = { timeout: 25_000 };

let test: TestTracker;
beforeAll(async () => {
  test = await startTestTracker();
});
afterAll(() => test.stop());

describe("analytics", () => {
  let cache: Cache;
  let analytics: ViewAnalytics;
  beforeEach(() => {
    cache = createCache({ name: "test" });
    analytics = viewAnalytics(cache, test.database);
  });
  afterEach(async () => {
    await analytics.views.close();
    await cache.close();
  });

  it("are what the tables say, as of when the view was made", async () => {
    await analytics.views.refresh(analytics.name);
    const { asOf, projects } = await analytics.progress(OURS);
    expect(projects).toEqual((await test.tracker.analytics.progress(OURS)).projects);
    expect(asOf?.getTime()).toBeGreaterThan(Date.now() - 60_000);
  });

  it("stay as they were until the view is refreshed, and are then as of that", async () => {
    await analytics.views.refresh(analytics.name);
    const before = await analytics.progress(OURS);
    await test.database.query("update issues set status = 'done' where tenant_id = $1", [OURS]);
    const same = await analytics.progress(OURS);
    // Unless the view has just come due.
    if (same.asOf?.getTime() === before.asOf?.getTime()) expect(same).toEqual(before);
    await analytics.views.refresh(analytics.name);
    const after = await analytics.progress(OURS);
    expect(after.asOf?.getTime()).toBeGreaterThan(before.asOf?.getTime() ?? Infinity);
    expect(after.projects).toEqual((await test.tracker.analytics.progress(OURS)).projects);
    expect(after.projects).not.toEqual(before.projects);
  });

  it("are made anew when a row they are made of has changed", async () => {
    const fed = await test.cached();
    try {
      await expect.poll(async () => (await fed.tracker.analytics.progress(OURS)).asOf, WAIT).toBeInstanceOf(Date);
      const before = await fed.tracker.analytics.progress(OURS);
      await test.database.query("update issues set status = 'backlog' where tenant_id = $1", [OURS]);
      await expect
        .poll(async () => (await fed.tracker.analytics.progress(OURS)).projects, WAIT)
        .toEqual((await test.tracker.analytics.progress(OURS)).projects);
      const after = await fed.tracker.analytics.progress(OURS);
      expect(after.asOf?.getTime()).toBeGreaterThan(before.asOf?.getTime() ?? Infinity);
    } finally {
      await fed.close();
    }
  });
});
