import { describe, expect, it } from "vitest";
import { HELP, parseFlags, UsageError } from "./flags.js";

describe("parseFlags", () => {
  it("has a default for everything", () => {
    expect(parseFlags([])).toEqual({
      duration: 15_000,
      writes: 0.02,
      outOfBand: 0.005,
      cache: true,
      json: false,
      seed: 1,
      connections: 32,
      issues: 50_000,
      trace: undefined,
      dashboard: false,
      help: false,
    });
  });

  it("reads every flag", () => {
    const args =
      "--for 2m --writes 10% --out-of-band=0% --no-cache --json --seed 42 --connections 8 --issues 2000 --trace keys.gz".split(
        " ",
      );
    expect(parseFlags(args)).toEqual({
      duration: 120_000,
      writes: 0.1,
      outOfBand: 0,
      cache: false,
      json: true,
      seed: 42,
      connections: 8,
      issues: 2_000,
      trace: "keys.gz",
      dashboard: false,
      help: false,
    });
    expect(parseFlags(["-h"]).help).toBe(true);
    expect(parseFlags(["--dashboard"]).dashboard).toBe(true);
    expect(() => parseFlags(["--dashboard", "--no-cache"])).toThrow(UsageError);
  });

  it.each([
    [["--for", "1s"], "--for"],
    [["--for", "15"], "--for"],
    [["--for", "2h"], "--for"],
    [["--for", "soon"], "--for"],
    [["--writes", "2"], "--writes"],
    [["--writes", "101%"], "--writes"],
    [["--out-of-band", "-1%"], "--out-of-band"],
    [["--out-of-band=-1%"], "--out-of-band"],
    [["--seed", "1.5"], "--seed"],
    [["--connections", "0"], "--connections"],
    [["--issues", "99"], "--issues"],
    [["--issues", "lots"], "--issues"],
    [["--sede", "1"], "--sede"],
    [["--trace"], "--trace"],
    [["--json=yes"], "--json"],
    [["keys.txt"], "keys.txt"],
    [["--writes", "60%", "--out-of-band", "60%"], "together"],
  ])("refuses %j in one line that names it", (args, name) => {
    const refused = (): unknown => parseFlags(args);
    expect(refused).toThrow(UsageError);
    expect(refused).toThrow(name);
    expect(refused).not.toThrow("\n");
  });

  it("is described by the help text, defaults included", () => {
    for (const [flag, value] of [
      ["for", "15s"],
      ["writes", "2%"],
      ["out-of-band", "0.5%"],
      ["connections", "32"],
      ["issues", "50000"],
      ["seed", "1"],
    ]) {
      expect(HELP).toContain(`--${flag} ${value} `);
    }
    for (const flag of ["trace", "no-cache", "json", "help"]) {
      expect(HELP).toContain(`--${flag}`);
    }
  });
});
