import { expect, it } from "vitest";
import { Cleanup } from "./cleanup.js";

it("undoes the last first, one at a time, and goes on when one fails", async () => {
  const cleanup = new Cleanup();
  const done: string[] = [];
  cleanup.add("close the door", async () => {
    done.push("door");
  });
  cleanup.add("put out the fire", () => Promise.reject(new Error("no water")));
  cleanup.add("switch off the light", async () => {
    await Promise.resolve();
    done.push("light");
  });
  expect(await cleanup.run()).toEqual(["could not put out the fire: no water"]);
  expect(done).toEqual(["light", "door"]);
});

it("undoes nothing twice, and gives a second caller the same end", async () => {
  const cleanup = new Cleanup();
  let times = 0;
  cleanup.add("count", async () => {
    times += 1;
  });
  await Promise.all([cleanup.run(), cleanup.run()]);
  expect(times).toBe(1);
});
