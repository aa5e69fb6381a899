import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer, type PrivateServer } from "./private-server.js";

const MODULE = "/usr/lib/nginx/modules/ngx_http_cache_purge_module.so";

/** A private nginx on a free loopback port. */
export interface NginxServer extends PrivateServer {
  readonly url: string;
  /** Where it keeps what it has cached. */
  readonly cache: string;
}

/** Starts nginx and waits until it answers. @param http what stands in `http {}`, for a port and the folder of its cache. */
export function startNginx(http: (port: number, cache: string) => string): Promise<NginxServer> {
  if (!runs() || !existsSync(MODULE)) {
    throw new Error("These tests need nginx: install the packages `nginx-light` and `libnginx-mod-http-cache-purge`");
  }
  const folder = mkdtempSync(join(tmpdir(), "tiercache-nginx-"));
  const cache = join(folder, "cache");
  return startServer({
    binary: "nginx",
    args: (port) => {
      const file = join(folder, "nginx.conf");
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        (name) => `${name}_temp_path ${join(folder, name)};`,
      );
      writeFileSync(
        file,
        [
          `load_module ${MODULE};`,
          // As the one who started it: its folder is closed to everybody else.
          ...(process.getuid?.() === 0 ? ["user root;"] : []),
          `daemon off; master_process off; pid ${join(folder, "pid")}; error_log stderr warn;`,
          `events {} http { access_log off; ${temporary.join(" ")} ${http(port, cache)} }`,
        ].join("\n"),
      );
      return ["-e", "stderr", "-p", folder, "-c", file];
    },
    answers: async (port) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: "OPTIONS" }).catch(() => undefined);
      await response?.body?.cancel();
      return response !== undefined;
    },
    clear: () => rmSync(folder, { recursive: true, force: true }),
  }).then((server) => Object.assign(server, { url: `http://127.0.0.1:${server.port}`, cache }));
}

function runs(): boolean {
  return spawnSync("nginx", ["-v"], { stdio: "ignore" }).status === 0;
}
