import { expect, it } from "vitest";
import { dropSlot } from "./drop-slot.js";

const failure = (code: string): Error => Object.assign(new Error(`an error ${code}`), { code });

/** A database that answers with these, one after the other. */
function answering(...answers: readonly (Error | "dropped")[]): { asked: number; query(): Promise<unknown> } {
  const left = [...answers];
  return {
    asked: 0,
    async query() {
      this.asked += 1;
      const answer = left.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
}

it("waits for a slot until the server has noticed that its reader is gone", async () => {
  const database = answering(failure("55006"), failure("55006"), "dropped");
  await dropSlot(database, "a");
  expect(database.asked).toBe(3);
});

it("does not wait for anything else", async () => {
  const database = answering(failure("42501"), "dropped");
  await expect(dropSlot(database, "a")).rejects.toThrow("an error 42501");
  expect(database.asked).toBe(1);
});
