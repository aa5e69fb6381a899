import { describe, expect, it } from "vitest";
import { jsonLine, jsonText } from "./json-text.js";
import { Progress } from "./progress.js";
import { createTerminal, type Terminal } from "./terminal.js";

class Sink {
  text = "";
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

function terminalOn(isTTY: boolean, environment = {}): { terminal: Terminal; out: Sink; err: Sink } {
  const out = new Sink(isTTY);
  const err = new Sink(isTTY);
  return { terminal: createTerminal(out, err, environment), out, err };
}

describe("a terminal", () => {
  it("has colours where somebody looks who wants them", () => {
    expect(terminalOn(true).terminal.colors.green("yes")).toBe("\u001B[32myes\u001B[39m");
    expect(terminalOn(false).terminal.colors.green("yes")).toBe("yes");
    expect(terminalOn(true, { NO_COLOR: "1" }).terminal.colors.green("yes")).toBe("yes");
    expect(terminalOn(true, { NO_COLOR: "" }).terminal.colors.green("yes")).not.toBe("yes");
    expect(terminalOn(true, { TERM: "dumb" }).terminal.colors.green("yes")).toBe("yes");
  });

  it("writes data to one stream and all else to the other", () => {
    const { terminal, out, err } = terminalOn(false);
    terminal.out("data\n");
    terminal.note("warning");

    expect([out.text, err.text]).toEqual(["data\n", "warning\n"]);
  });

  it("takes nothing for its own commands that is in the texts of others, but lets colours, tabs and lines pass", () => {
    const { terminal, out, err } = terminalOn(true);
    terminal.out("a\u001B[2Jb\u009B2Jc\u0007d\re\u001B]0;title\u0007\n\t\u001B[32mgreen\u001B[39m\n");
    terminal.note("a\u001B[2Jb\u009B2J");
    terminal.status("a\u001B[2Jb");

    expect(out.text).toBe("a [2Jb 2Jc d e ]0;title \n\t\u001B[32mgreen\u001B[39m\n");
    expect(err.text).toBe("a [2Jb 2J\n\r\u001B[2Ka [2Jb");
  });

  it("takes its status away before it says something", () => {
    const { terminal, err } = terminalOn(true);
    terminal.status("half");
    terminal.note("done");

    expect(err.text).toBe("\r\u001B[2Khalf\r\u001B[2Kdone\n");
  });
});

describe("JSON", () => {
  it("says its schema's version first, and brings no control of a terminal through", () => {
    const data = { key: "a\u001B[2J\u009B2J\u007F", tags: ["é"] };
    const text = jsonText(data);
    expect(text.startsWith('{\n  "schemaVersion": 1,\n  "key"')).toBe(true);
    expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/);
    expect(JSON.parse(text)).toEqual({ schemaVersion: 1, ...data });
    expect(jsonLine(data).split("\n")).toHaveLength(2);
    expect(JSON.parse(jsonLine(data))).toEqual({ schemaVersion: 1, ...data });
  });
});

describe("progress", () => {
  it("is drawn on a terminal, over all passes", () => {
    const { terminal, err } = terminalOn(true);
    const progress = new Progress(terminal, { bytes: 200, passes: 2, quiet: false });
    progress.update(100);

    expect(err.text).toContain(" 25%");
    expect(err.text).toContain("██████░░");
    progress.end();
    expect(err.text.endsWith("\r\u001B[2K")).toBe(true);
  });

  it("counts a pass when the file is read from the start again", () => {
    const { terminal, err } = terminalOn(true);
    const quiet = new Progress(terminal, { bytes: 200, passes: 2, quiet: true });
    quiet.update(100);
    expect(err.text).toBe("");

    let now = 0;
    const progress = new Progress(terminal, { bytes: 200, passes: 2, quiet: false, now: () => (now += 1000) });
    for (const bytes of [100, 200, 100]) progress.update(bytes);
    expect([...err.text.matchAll(/(\d+)%/g)].map(([, percent]) => percent)).toEqual(["25", "50", "75"]);
  });

  it("says nothing where nobody looks", () => {
    const { terminal, err } = terminalOn(false);
    const progress = new Progress(terminal, { bytes: 200, passes: 1, quiet: false });
    progress.update(100);
    progress.end();

    expect(err.text).toBe("");
  });
});
