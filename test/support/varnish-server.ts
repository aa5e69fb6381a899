import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer, type PrivateServer } from "./private-server.js";

/** A private Varnish on a free loopback port. */
export interface VarnishServer extends PrivateServer {
  readonly url: string;
}

/** Starts Varnish with this VCL and waits until it answers. */
export function startVarnish(vcl: string): Promise<VarnishServer> {
  if (!runs("varnishd", "-V")) {
    throw new Error("These tests need varnishd: install the packages `varnish` and `varnish-modules`");
  }
  const folder = mkdtempSync(join(tmpdir(), "tiercache-varnish-"));
  const file = join(folder, "default.vcl");
  writeFileSync(file, vcl);
  return startServer({
    binary: "varnishd",
    // -F: in the foreground; no management port, no jail, a small store of its own.
    args: (port) => [
      ...["-F", "-j", "none", "-n", join(folder, "work"), "-f", file, "-a", `127.0.0.1:${port}`],
      ...["-T", "none", "-s", "default,16m", "-p", "thread_pools=1", "-p", "ban_lurker_age=0.1"],
    ],
    answers: async (port) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: "OPTIONS" }).catch(() => undefined);
      await response?.body?.cancel();
      return response !== undefined;
    },
    clear: () => rmSync(folder, { recursive: true, force: true }),
  }).then((server) => Object.assign(server, { url: `http://127.0.0.1:${server.port}` }));
}

function runs(binary: string, flag: string): boolean {
  return spawnSync(binary, [flag], { stdio: "ignore" }).status === 0;
}
