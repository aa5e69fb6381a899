import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count } from "../option-values.js";
import type { Terminal } from "../terminal.js";

export interface GatewayFlags {
  readonly origin?: string;
  readonly port?: number;
  readonly host?: string;
  readonly config?: string;
  readonly workers: number;
  readonly log?: true;
  readonly quiet?: true;
}

const EXAMPLES = `
Examples:
  $ tiercache gateway --origin http://127.0.0.1:3000
  $ tiercache gateway --origin http://127.0.0.1:3000 --port 8080 --log
  $ tiercache gateway --config gateway.json --workers 4

Signals: SIGHUP reads the configuration again, SIGTERM and SIGINT end it once its requests have ended.
Environment: REDIS_URL is the Redis that machines share, if the configuration names none.`;

/** `tiercache gateway`: a caching reverse proxy, until it is told to stop. */
export function addGateway(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("gateway")
    .description("a caching reverse proxy in front of your servers")
    .option("--origin <url>", "where requests go")
    .option("--port <number>", "the port that clients connect to (default: 8080)", port)
    .option("--host <address>", "the address of this machine that it listens on (default: 127.0.0.1)")
    .option("--config <file>", "configuration, JSON or TypeScript; the flags above count more")
    .option("--workers <number>", "processes that answer clients", count, 1)
    .option("--log", "write a line of JSON for each request")
    .option("-q, --quiet", "say nothing but errors")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: GatewayFlags) => {
      const { gateway } = await import("../actions/gateway.js");
      end(await gateway(flags, terminal));
    });
}

function port(text: string): number {
  return text.trim() === "0" ? 0 : count(text);
}
