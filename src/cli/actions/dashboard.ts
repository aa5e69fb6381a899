import { createAdmin } from "../../admin/create-admin.js";
import type { Overview } from "../../admin/merge.js";
import { CommandError } from "../command-error.js";
import type { DashboardFlags } from "../commands/dashboard.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { jsonLine, jsonText } from "../json-text.js";
import { nameInEnvironment, openCache, withReach } from "../reach.js";
import { secretOf } from "../secrets.js";
import { statsText } from "../stats-text.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";

/** The page of a cache on its Redis, until Ctrl-C. */
export async function serveDashboard(flags: DashboardFlags, terminal: Terminal): Promise<ExitCode> {
  const url = await secretOf("REDIS_URL");
  const name = flags.name ?? nameInEnvironment();
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
    redis: opened.command,
    audit: (line) => terminal.note(line.trimEnd()),
  });
  try {
    const server = await admin.listen({ port: flags.port });
    terminal.out(flags.json === true ? jsonLine({ url: server.url }) : `${server.url}\n`);
    terminal.note("Open it in a browser. Ctrl-C ends it.");
    await stoppable(({ signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())));
    return EXIT.ok;
  } finally {
    await admin.close();
    await opened.close();
  }
}

/** What a process says of itself and of those that report to it. */
export async function askDashboard(address: string, flags: DashboardFlags, terminal: Terminal): Promise<ExitCode> {
  const { name } = flags;
  const overview = await withReach({ admin: address, ...(name !== undefined && { name }) }, terminal, ({ get }) =>
    get<Overview>("overview"),
  );
  terminal.out(flags.json === true ? jsonText(overview) : statsText(overview, terminal.colors));
  terminal.note(`The page: ${address}`);
  return EXIT.ok;
}
