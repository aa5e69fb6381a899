import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createCache, type Cache } from "../../src/index.js";
import { lmdb } from "../../src/lmdb/index.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import { BYTES, KEYS, row } from "./rows.js";

/**
 * The host tier, without memory before it: alone, and while another process reads and writes the same file all the
 * time. CPU time of this process.
 */
export async function hostTier({ plan }: Setting): Promise<CaseResult[]> {
  const folder = mkdtempSync(join(tmpdir(), "tiercache-bench-"));
  const cache = createCache({ name: "bench", tiers: [lmdb({ path: join(folder, "host") })], ttl: "1h" });
  let other: ChildProcess | undefined;
  try {
    await cache.setMany(KEYS.map((key, id) => [key, row(id)] as const));
    const alone = await interleave(contenders(cache, "alone"), plan);
    other = await neighbour(join(folder, "host"));
    const beside = await interleave(contenders(cache, "beside another"), plan);
    return [
      caseResult("lmdb, 1 process", `an entry of ${BYTES} B`, alone),
      caseResult("lmdb, 2 processes", "the same while another process reads and writes", beside),
    ];
  } finally {
    other?.kill("SIGKILL");
    await cache.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function contenders(cache: Cache, name: string): Contender[] {
  let at = 0;
  const next = (): number => (at = (at + 1) % KEYS.length);
  return [
    {
      name: `get, ${name}`,
      async run(operations) {
        for (let left = operations; left > 0; left -= 1) await cache.get(KEYS[next()] as string);
      },
    },
    {
      name: `set, ${name}`,
      async run(operations) {
        for (let left = operations; left > 0; left -= 1) await cache.set(KEYS[next()] as string, row(at));
      },
    },
  ];
}

/** Resolves when it works. */
function neighbour(path: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL("lmdb-neighbour.js", import.meta.url));
  const child = spawn(process.execPath, [script, path], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.stdout.once("data", () => resolve(child));
  });
}
