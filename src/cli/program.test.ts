import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runCli } from "./program.js";
import { createTerminal } from "./terminal.js";

const traces = fileURLToPath(new URL("../../test/fixtures/traces/", import.meta.url));

class Sink {
  text = "";

  write(text: string): void {
    this.text += text;
  }
}

describe("the command line ends with", () => {
  it.each([
    { code: 0, argv: "--help", says: "Usage: tiercache" },
    { code: 0, argv: "simulate --help", says: "tiercache simulate requests.txt" },
    { code: 0, argv: "plan --help", says: "Exit code 6" },
    { code: 0, argv: "--version", says: "" },
    { code: 2, argv: "", says: "Usage: tiercache" },
    { code: 2, argv: "simulat web.txt", says: "Did you mean simulate?" },
    { code: 2, argv: "simulate", says: "missing required argument 'trace'" },
    { code: 2, argv: "simulate web.txt --size many", says: "--size" },
    { code: 2, argv: "simulate web.txt --policy best", says: "fifo, lru" },
    { code: 2, argv: "simulate web.txt --frobnicate", says: "--frobnicate" },
    { code: 2, argv: "simulate web.txt --ttl 5s", says: "Expected --rate to be given" },
    { code: 2, argv: "simulate web.txt --size 1mb", says: "Expected --entry-size to be given" },
    { code: 2, argv: "simulate web.txt --l2 100", says: "--processes" },
    { code: 2, argv: "simulate web.txt --columns time,size", says: "Expected a key among the columns" },
    { code: 2, argv: "plan web.txt", says: "Expected a target" },
    { code: 2, argv: "plan web.txt --source-price 1", says: "Expected --rate" },
    { code: 2, argv: "simulate web.txt --svg out.svg --processes 2", says: "without --processes" },
    { code: 1, argv: "simulate .", says: "not a file" },
    { code: 1, argv: "simulate web.txt --format csv", says: "no header" },
    { code: 3, argv: "simulate nowhere.txt", says: "There is no file nowhere.txt" },
    { code: 3, argv: "plan nowhere.txt --target-p99 1s", says: "There is no file nowhere.txt" },
  ])("$code for: $argv", async ({ code, argv, says }) => {
    const [out, err] = [new Sink(), new Sink()];
    const words = argv.split(" ").map((word) => word.replace(/^(?:web\.txt|\.)$/, (name) => join(traces, name)));
    const ended = await runCli(
      words.filter((word) => word !== ""),
      createTerminal(out, err, {}),
    );

    expect(out.text + err.text).toContain(says);
    expect(ended).toBe(code);
    // Data and nothing else on standard output.
    if (code !== 0) expect(out.text).toBe("");
    expect(err.text).not.toContain("    at ");
  });
});
