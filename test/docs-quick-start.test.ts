import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it, onTestFinished } from "vitest";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

describe("docs/quick-start.md", () => {
  const page = read("docs/quick-start.md");

  it("shows its steps as they are run", () => {
    const blocks = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    expect(blocks).toEqual(
      ["memory", "redis", "feed", "dashboard"].map((name) => read(`examples/quick-start/${name}.ts`)),
    );
  });

  it("takes no more than 300 words", () => {
    const prose = page.replace(/```[\s\S]*?```/g, "");
    expect(prose.split(/\s+/).filter((word) => /\w/.test(word)).length).toBeLessThanOrEqual(300);
  });

  it("has a dashboard that answers under the link it prints, and ends when it is told to", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "examples/quick-start/dashboard.ts"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    let output = "";
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      output += String(chunk);
      if (output.includes("end with")) break;
    }
    const url = new URL(/http:\S+#token=[^,\s]+/.exec(output)?.[0] ?? "");
    const token = new URLSearchParams(url.hash.slice(1)).get("token");
    expect(token).toMatch(/.{16}/);
    expect((await fetch(new URL("/", url))).status).toBe(200);
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });
});
