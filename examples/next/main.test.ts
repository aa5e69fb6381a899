import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

// Building an application takes Next.js a minute on a small machine: `npm run test:next`. The contract has its tests beside the handlers.
describe.runIf(process.env["TIERCACHE_NEXT"] === "true")(
  "an application of two processes, built and started by Next.js",
  () => {
    it("renders again what was invalidated in either process, and nothing else", { timeout: 300_000 }, async () => {
      const main = fileURLToPath(new URL("main.ts", import.meta.url));
      const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", main]);
      expect(stdout.trim().split("\n")).toEqual([
        "use cache: Contact 7, rendered once",
        "the other process: the same",
        "after contacts.invalidate(7): Ada",
        "the other process: Ada",
        "and the other way: Grace",
        "the page of 8: as it was",
        'after revalidateTag("contacts"), the other process: rendered again',
        "the news: the same article in both",
        'after cache.invalidate({ tag: "news" }), the other process: another article',
        'after revalidatePath("/news"), the other process: another article',
      ]);
    });
  },
);
