import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resolveAdmin } from "../src/admin/options.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

describe("docs/dashboard.md", () => {
  it("shows its examples as they are run and tested", () => {
    const blocks = [...read("docs/dashboard.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    const examples = ["main", "http", "express", "fastify", "hono"].map((name) =>
      read(`examples/dashboard/${name}.ts`),
    );
    expect(blocks.filter((block) => block?.startsWith("import "))).toEqual(examples);
  });

  it("names every option, and its default", () => {
    const docs = read("docs/dashboard.md");
    const { hosts: _hosts, madeToken: _made, clock: _clock, ...resolved } = resolveAdmin({});
    for (const option of [...Object.keys(resolved), "hosts"]) expect(docs).toContain(`| \`${option}\` |`);
    expect(docs).toContain(
      `| \`environment\` | the badge; what begins with \`prod\` is read-only with values hidden | \`"${resolved.environment}"\` |`,
    );
    expect([resolved.readOnly, resolved.values, resolved.path, resolved.processes]).toEqual([true, false, "", true]);
  });

  it("has an example that serves the page", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "examples/dashboard/main.ts"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const url = await new Promise<string>((resolve, reject) => {
        child.stdout.once("data", (text: Buffer) => resolve(text.toString().trim()));
        child.once("exit", (code) => reject(new Error(`It ended with ${code}`)));
      });
      const [base = "", token = ""] = url.split("#token=");
      expect((await fetch(base)).headers.get("content-type")).toContain("text/html");
      const overview = async (): Promise<unknown> => {
        const answer = await fetch(`${base}api/overview`, { headers: { authorization: `Bearer ${token}` } });
        return ((await answer.json()) as { total: { gets: number } }).total.gets;
      };
      await expect.poll(overview, { timeout: 10_000 }).toBe(1_000);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
