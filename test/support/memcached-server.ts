import { createConnection } from "node:net";

import { programOf, startServer, type NeededProgram, type PrivateServer } from "./private-server.js";

/** A private memcached on a free loopback port. */
export interface MemcachedServer extends PrivateServer {
  /** Sends one line on a connection of its own and gives all that comes back up to `end`. */
  ask(line: string, end: string): Promise<string>;
}

const MEMCACHED: NeededProgram = {
  variable: "TIERCACHE_MEMCACHED",
  name: "memcached",
  versionFlag: "-V",
  advice: "the package `memcached`, 1.6 or later",
};

/**
 * Starts a server and waits until it answers.
 *
 * @param options.args appended to its command line: `["-m", "4"]`.
 */
export async function startMemcached(options: { readonly args?: readonly string[] } = {}): Promise<MemcachedServer> {
  // As root it insists on being told whose rights to take.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const server = await startServer({
    binary: programOf(MEMCACHED),
    args: (port) => ["-p", String(port), "-U", "0", "-l", "127.0.0.1", "-t", "2", ...user, ...(options.args ?? [])],
    answers: async (port) => (await ask(port, "mn", "MN\r\n").catch(() => "")) === "MN\r\n",
  });
  return Object.assign(server, { ask: (line: string, end: string) => ask(server.port, line, end) });
}

function ask(port: number, line: string, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: "127.0.0.1" }, () => socket.write(`${line}\r\n`));
    let said = "";
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer to ${line}`)));
    socket.on("data", (chunk: Buffer) => {
      said += chunk.toString("latin1");
      if (!said.endsWith(end)) return;
      socket.destroy();
      resolve(said);
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`cut off after ${JSON.stringify(said.slice(0, 200))}`)));
  });
}
