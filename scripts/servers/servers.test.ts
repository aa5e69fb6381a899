import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startPostgres } from "./postgres.js";
import { restoreSymlinks } from "./postgres-binaries.js";
import { findRedisServer, startRedis } from "./redis.js";
import { ServerProcess, type ServerCommand } from "./server-process.js";

let root: string;
let folder: string;
let before: string | undefined;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "servers-test-"));
  await chmod(root, 0o755);
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  // The servers' temporary folders go here, so that what they leave behind can be seen.
  folder = await mkdtemp(join(root, "case-"));
  await chmod(folder, 0o755);
  before = process.env["TMPDIR"];
  process.env["TMPDIR"] = folder;
});
afterEach(() => {
  if (before === undefined) {
    delete process.env["TMPDIR"];
  } else {
    process.env["TMPDIR"] = before;
  }
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("startPostgres", () => {
  it("gives a server that answers, and that is gone with its data when stopped", async () => {
    const lines: string[] = [];
    const server = await startPostgres({ log: (line) => lines.push(line), settings: { work_mem: "7MB" } });
    const client = new pg.Client(server.url);
    await client.connect();
    const { rows } = await client.query(
      "select current_setting('work_mem') as memory, current_setting('wal_level') as wal",
    );
    await client.end();
    expect(rows).toEqual([{ memory: "7MB", wal: "logical" }]);
    expect(lines.some((line) => line.includes("ready to accept connections"))).toBe(true);

    await Promise.all([server.stop(), server.stop()]);
    expect(await server.exited).toBe("exit code 0");
    expect(isRunning(server.pid)).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  it("stops although a connection is open", async () => {
    const server = await startPostgres();
    const client = new pg.Client(server.url);
    client.on("error", () => undefined);
    await client.connect();
    await server.stop();
    expect(await readdir(folder)).toEqual([]);
  });

  it("says what is wrong and leaves nothing when it cannot start", async () => {
    await expect(startPostgres({ settings: { shared_buffers: "lots" } })).rejects.toThrow(
      /PostgreSQL ended while starting[^]*shared_buffers/,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)(
    "says what to do when the user it must run as cannot use the temporary folder",
    async () => {
      await mkdir(join(folder, "closed"), { mode: 0o700 });
      process.env["TMPDIR"] = join(folder, "closed");
      await expect(startPostgres()).rejects.toThrow("set TMPDIR to a folder open to all");
      expect(await readdir(join(folder, "closed"))).toEqual([]);
    },
  );

  it("leaves neither server nor data when its owner is killed", async () => {
    const script = `import { startPostgres } from ${JSON.stringify(fileURLToPath(new URL("./postgres.ts", import.meta.url)))};
      const server = await startPostgres(); process.stdout.write(server.pid + "\\n"); setInterval(() => {}, 1000);`;
    const path = join(folder, "owner.mts");
    await writeFile(path, script);
    const owner = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<number>((resolve) =>
      owner.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString()))),
    );
    expect(isRunning(pid)).toBe(true);
    owner.kill("SIGKILL");
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 10_000);
    await vi.waitFor(
      async () => expect((await readdir(folder)).filter((name) => name.startsWith("tiercache-"))).toEqual([]),
      10_000,
    );
  });
});

describe("restoreSymlinks", () => {
  it("makes the links that an install without scripts left out, and leaves those that are there", async () => {
    const native = join(folder, "native");
    await mkdir(join(native, "lib"), { recursive: true });
    await writeFile(join(native, "lib", "libpq.so.5.18"), "library");
    await writeFile(join(native, "lib", "libpq.so.5"), "somebody's own");
    const links = ["libpq.so", "libpq.so.5"].map((name) => ({
      source: "native/lib/libpq.so.5.18",
      target: `native/lib/${name}`,
    }));
    await writeFile(join(native, "pg-symlinks.json"), JSON.stringify(links));
    await Promise.all([restoreSymlinks(native), restoreSymlinks(native)]);
    expect(await readlink(join(native, "lib", "libpq.so"))).toBe("libpq.so.5.18");
    expect(await readFile(join(native, "lib", "libpq.so.5"), "utf8")).toBe("somebody's own");
  });

  it("has nothing to do where there is no list", async () => {
    await restoreSymlinks(folder);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("findRedisServer", () => {
  it("takes the one that is named, else the first on the path, else none", async () => {
    const other = await mkdtemp(join(folder, "bin-"));
    await writeFile(join(other, "redis-server"), "", { mode: 0o755 });
    await writeFile(join(folder, "valkey-server"), "", { mode: 0o755 });
    await writeFile(join(folder, "redis-server"), "not executable", { mode: 0o644 });
    expect(findRedisServer({ TIERCACHE_REDIS_SERVER: "/opt/redis", PATH: other })).toBe("/opt/redis");
    expect(findRedisServer({ TIERCACHE_REDIS_SERVER: "", PATH: `${folder}:${other}` })).toBe(
      join(other, "redis-server"),
    );
    expect(findRedisServer({ PATH: folder })).toBe(join(folder, "valkey-server"));
    expect(findRedisServer({ PATH: "" })).toBeUndefined();
    expect(findRedisServer({})).toBeUndefined();
  });
});

const redisServer = findRedisServer();

describe.skipIf(redisServer === undefined)("startRedis", () => {
  it("gives a server that answers, and that is gone with its folder when stopped", async () => {
    const server = await startRedis(redisServer ?? "");
    const { createClient } = await import("redis");
    const client = createClient({ url: server.url });
    await client.connect();
    expect(await client.ping()).toBe("PONG");
    client.destroy();
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  it("tells how it ended when somebody else ends it, and still removes its folder", async () => {
    const server = await startRedis(redisServer ?? "");
    process.kill(server.pid, "SIGKILL");
    expect(await server.exited).toBe("signal SIGKILL");
    await server.stop();
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses what is no such server", async () => {
    await expect(startRedis(process.execPath)).rejects.toThrow("Expected Redis 6 or newer, got v");
    await expect(startRedis("/nowhere/redis-server")).rejects.toThrow("ENOENT");
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("ServerProcess", () => {
  function command(script: string): ServerCommand {
    return {
      name: "Thing",
      binary: process.execPath,
      args: ["-e", script],
      folder,
      readyText: "ready",
      stopSignal: "SIGINT",
    };
  }

  it("stops harder one that does not listen", async () => {
    const server = await ServerProcess.start(
      command("process.on('SIGINT', () => {}); setInterval(() => {}, 1000); console.log('ready')"),
    );
    await server.stop();
    expect(await server.exited).toMatch(/SIGQUIT|SIGKILL/);
  }, 20_000);

  it("rejects with what it wrote when it ends before it is ready", async () => {
    await expect(ServerProcess.start(command("console.error('no room'); process.exit(3)"))).rejects.toThrow(
      "Thing ended while starting (exit code 3):\nno room",
    );
  });

  it("finds the text of readiness in pieces of output", async () => {
    const server = await ServerProcess.start(
      command(
        "process.stdout.write('re'); setTimeout(() => process.stdout.write('ady\\n'), 50); setInterval(() => {}, 1000)",
      ),
    );
    expect(server.lastOutput()).toBe("ready");
    await server.stop();
  });
});
