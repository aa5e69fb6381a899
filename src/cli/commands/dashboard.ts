import { once } from "node:events";
import type { Command } from "commander";
import { createAdmin } from "../../admin/create-admin.js";
import type { Overview } from "../../admin/merge.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer, percent } from "../figures.js";
import { count } from "../option-values.js";
import { CommandError } from "../command-error.js";
import { openCache } from "../reach.js";
import { UnreachableError } from "../redis-client.js";
import { secretOf } from "../secrets.js";
import { textTable } from "../text-table.js";
import type { Terminal } from "../terminal.js";

interface DashboardFlags {
  readonly name?: string;
  readonly port?: number;
  readonly environment: string;
  readonly values?: true;
  readonly write?: true;
  readonly json?: true;
}

const TIMEOUT = 5_000;
/** The token of a process's own admin side. */
const TOKEN = "TIERCACHE_TOKEN";

const EXAMPLES = `
Without an address the page is served from here, for whatever processes of the cache report through its Redis
(those that call createAdmin). With the address of a process's own admin side, that one is asked.

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache dashboard --name crm
  $ tiercache dashboard http://127.0.0.1:7070
  $ tiercache dashboard http://127.0.0.1:7070 --json

Environment: REDIS_URL, TIERCACHE_NAME (for --name), TIERCACHE_SECRET (of a cache that signs), ${TOKEN} (of the process
that is asked). Each of them may be a file instead: REDIS_URL_FILE.
Exit: 4 the token is not known there, 5 nothing answers.`;

/** `tiercache dashboard`: the page of a cache, from its Redis; or what a running process says of itself. */
export function addDashboard(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("dashboard [address]")
    .description("a page on what the processes of a cache do, or the figures of one that runs")
    .option("--name <cache>", "the name that the cache was created with")
    .option("--port <number>", "where the page is served, on loopback (default: any that is free)", count)
    .option("--environment <name>", "what the badge of the page says", "production")
    .option("--values", "let values be seen")
    .option("--write", "let entries be purged, after a preview")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (address: string | undefined, flags: DashboardFlags) =>
      end(await (address === undefined ? serve(flags, terminal) : ask(address, flags, terminal))),
    );
}

/** The page, until Ctrl-C. */
async function serve(flags: DashboardFlags, terminal: Terminal): Promise<ExitCode> {
  const url = await secretOf("REDIS_URL");
  const name = flags.name ?? process.env["TIERCACHE_NAME"];
  if (url === undefined || name === undefined) {
    throw new CommandError(
      EXIT.usage,
      "this needs REDIS_URL and --name, or the address of a process (--help tells more)",
    );
  }
  const opened = await openCache(url, name);
  const admin = createAdmin(opened.cache, {
    environment: flags.environment,
    values: flags.values === true,
    readOnly: flags.write !== true,
    name: "tiercache dashboard",
    audit: (line) => terminal.note(line.trimEnd()),
  });
  try {
    const server = await admin.listen({ port: flags.port });
    terminal.out(
      flags.json === true ? `${JSON.stringify({ schemaVersion: 1, url: server.url })}\n` : `${server.url}\n`,
    );
    terminal.note("Open it in a browser. Ctrl-C ends it.");
    const stop = new AbortController();
    await Promise.race(["SIGINT", "SIGTERM"].map((signal) => once(process, signal, { signal: stop.signal })));
    stop.abort();
    return EXIT.ok;
  } finally {
    await admin.close();
    await opened.close();
  }
}

/** What a process says of itself and of those that report to it. */
async function ask(address: string, flags: DashboardFlags, terminal: Terminal): Promise<ExitCode> {
  let base: URL;
  try {
    base = new URL(address.endsWith("/") ? address : `${address}/`);
  } catch {
    throw new CommandError(
      EXIT.usage,
      `Expected an address such as http://127.0.0.1:7070, got ${JSON.stringify(address)}`,
    );
  }
  // A link as it was printed has the token in its fragment.
  const token = (await secretOf(TOKEN)) ?? /^#token=(.+)$/.exec(base.hash)?.[1] ?? "";
  base.hash = "";
  const query = flags.name === undefined ? "" : `?cache=${encodeURIComponent(flags.name)}`;
  const response = await fetch(new URL(`api/overview${query}`, base), {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(TIMEOUT),
  }).catch((cause: unknown) => {
    throw new UnreachableError(`Nothing answers at ${base.href}`, { cause });
  });
  const answer = (await response.json().catch(() => ({}))) as Overview & {
    readonly error?: { readonly message: string };
  };
  if (!response.ok) {
    terminal.note(`error: ${answer.error?.message ?? `${base.href} answered ${response.status}`}`);
    if (response.status === 404) return EXIT.notFound;
    return response.status === 401 || response.status === 403 ? EXIT.forbidden : EXIT.failure;
  }
  terminal.out(
    flags.json === true ? `${JSON.stringify({ schemaVersion: 1, ...answer }, undefined, 2)}\n` : summary(answer),
  );
  terminal.note(`The page: ${base.href}`);
  return EXIT.ok;
}

function summary({ cache, processes, total, entities, shared }: Overview): string {
  const rows = Object.entries(entities)
    .filter(([, stats]) => stats.gets > 0)
    .sort(([, a], [, b]) => b.misses - a.misses)
    .map(([name, stats]) => [
      name === "" ? "(raw keys)" : name,
      integer(stats.gets),
      percent(stats.hitRatio),
      integer(stats.misses),
      integer(stats.loads),
      integer(stats.loadFailures),
    ]);
  const all = [
    "all",
    integer(total.gets),
    percent(total.hitRatio),
    integer(total.misses),
    integer(total.loads),
    integer(total.loadFailures),
  ];
  const tier = shared === undefined ? "memory only" : `${shared.kind} ${shared.up ? "up" : "DOWN"}`;
  return `${cache}: ${processes.length} ${processes.length === 1 ? "process" : "processes"}, ${tier}\n\n${textTable([["entity", "reads", "hit ratio", "misses", "loads", "failed"], ...rows, all])}`;
}
