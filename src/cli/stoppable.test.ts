import { describe, expect, it } from "vitest";

import { EXIT } from "./exit-codes.js";
import { stoppable } from "./stoppable.js";

describe("work that can be stopped", () => {
  it.each(["SIGINT", "SIGTERM"] as const)(
    "is told of %s, and leaves the second one to whoever listened before",
    async (name) => {
      const before = process.listenerCount(name);
      const reason = await stoppable(async ({ signal }) => {
        expect(process.listenerCount(name)).toBe(before + 1);
        process.emit(name);
        expect(process.listenerCount(name)).toBe(before);
        return signal.reason as unknown;
      });
      expect(reason).toBe(EXIT.interrupted);
    },
  );

  it("leaves no listener behind when it fails", async () => {
    const before = process.listenerCount("SIGINT");
    await expect(stoppable(() => Promise.reject(new Error("work")))).rejects.toThrow("work");
    expect(process.listenerCount("SIGINT")).toBe(before);
  });
});
