import { spawn } from "node:child_process";

/** Ends a server whose owner died without stopping it. */
export interface Guard {
  /** The server was stopped in order: the guard ends and does nothing. */
  release(): void;
}

// $1 is the server's pid, $2 its folder. The pipe ends with the owner, however it ends; a line means all is well.
const SCRIPT = `
if read -r word; then exit 0; fi
kill -QUIT "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
kill -KILL "$1" 2>/dev/null
rm -rf -- "$2"
`;

/**
 * Watches over a server and its folder from a process of its own, so that a killed owner (SIGKILL, a crash, a
 * closed terminal) leaves neither behind. Does nothing on Windows, which has no `sh`.
 */
export function guardServer(pid: number, folder: string): Guard {
  if (process.platform === "win32") {
    return { release: () => undefined };
  }
  // A session of its own: Ctrl-C in the terminal must not reach it before the owner has stopped the server.
  const shell = spawn("/bin/sh", ["-c", SCRIPT, "guard", String(pid), folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  return { release: () => void shell.stdin.end("stopped\n") };
}
