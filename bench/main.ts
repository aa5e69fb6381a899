import { parseArgs } from "node:util";

import { startRedis, type RedisServer } from "../test/support/redis-server.js";
import { core } from "./core/core.js";
import { database } from "./database/database.js";
import { http } from "./http/http.js";
import { memory } from "./memory/memory.js";
import { shared } from "./shared/shared.js";
import type { CaseResult } from "./report.js";
import type { Plan } from "./slices.js";
import type { Suite } from "./suite.js";

/* What run.ts runs, compiled: the list of a suite's cases, or one case, as JSON on stdout. */

const SUITES: Readonly<Record<string, Suite>> = { core, database, http, memory, shared };
const FULL: Plan = { rounds: 31, slice: 8 };
const QUICK: Plan = { rounds: 7, slice: 3 };

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: "boolean", default: false },
      case: { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const [name = ""] = positionals;
  const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
  if (suite === undefined) {
    console.error(`Expected a suite, one of ${Object.keys(SUITES).join(", ")}; got "${name}"`);
    return 1;
  }
  if (values.list) {
    console.log(JSON.stringify(Object.keys(suite)));
    return 0;
  }
  const wanted = values.case ?? "";
  const measure = Object.hasOwn(suite, wanted) ? suite[wanted] : undefined;
  if (measure === undefined) {
    console.error(`Expected a case of ${name}, one of ${Object.keys(suite).join(", ")}; got "${wanted}"`);
    return 1;
  }
  const started = performance.now();
  console.log(JSON.stringify(await withServer(measure, values.quick)));
  console.error(`${wanted}: ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  return 0;
}

async function withServer(measure: Suite[string], quick: boolean): Promise<readonly CaseResult[]> {
  let server: Promise<RedisServer> | undefined;
  // The server ends with the process, whichever way that goes; a signal alone would not say so to it.
  const interrupted = (): void => process.exit(130);
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    return await measure({ quick, plan: quick ? QUICK : FULL, redis: () => (server ??= startRedis()) });
  } finally {
    await (await server)?.stop();
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
  }
}
