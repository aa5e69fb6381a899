import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestTracker, type TestTracker } from "./testing.js";

const OURS = "aurora";

let test: TestTracker;
beforeAll(async () => {
  test = await startTestTracker({ wal_level: "replica" });
});
afterAll(() => test.stop());

describe("the feed where logical replication is off", () => {
  it("hears of rows through an outbox, and leaves none behind", async () => {
    const { id } = await test.issueOf(OURS);
    const fed = await test.cached({ slot: "test_outbox" });
    try {
      await fed.tracker.issues.getById(OURS, id);
      await test.database.query("update issues set title = 'By SQL' where id = $1", [id]);
      await fed.caughtUp();
      expect(await fed.tracker.issues.getById(OURS, id)).toMatchObject({ title: "By SQL" });
    } finally {
      await fed.close();
    }
    expect(await test.database.query("select relname from pg_class where relname = 'test_outbox'", [])).toEqual([]);
    expect(await test.tracker.issues.update(OURS, id, { title: "After it" })).toMatchObject({ title: "After it" });
  });
});
