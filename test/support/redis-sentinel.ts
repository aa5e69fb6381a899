import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort } from "../../scripts/servers/port.js";
import { answers, redisBinary, startRedis, type RedisServer } from "./redis-server.js";

/** A private master with replicas, and the sentinels that watch them. */
export interface RedisSentinels {
  /** What the sentinels call the master. */
  readonly name: string;
  /** Where the sentinels are. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** The servers, the master of the beginning first. */
  readonly servers: readonly RedisServer[];
  /** Milliseconds without an answer after which the master counts as down. */
  readonly downAfter: number;
  /** The server that the sentinels call master now. */
  master(): Promise<RedisServer>;
  /** One command to one server. */
  command(server: RedisServer, ...args: readonly (string | number)[]): Promise<unknown>;
  /**
   * Ends the master and has the sentinels replace it at once (SENTINEL FAILOVER: they need not have noticed). It is away
   * afterwards; `rejoin` brings it back as a replica. To see a loss being noticed, start with a short `downAfter` and
   * kill the master.
   *
   * @param by SIGKILL, or SIGSTOP: connections to it stay open and nothing answers. @default "kill"
   * @returns the server that was promoted.
   */
  failover(by?: "kill" | "pause"): Promise<RedisServer>;
  /** Lets a replica take the master's place while both live (SENTINEL FAILOVER). @returns the replica. */
  switchover(): Promise<RedisServer>;
  /** Starts the server again, or lets it go on, and waits until it follows the master. */
  rejoin(server: RedisServer): Promise<void>;
  /** Ends everything. Twice is once. */
  stop(): Promise<void>;
}

const NAME = "main";
/** How long anything may take that the sentinels do by themselves; milliseconds. */
const PATIENCE = 30_000;

/**
 * Starts them and waits until the sentinels know each other and every replica.
 *
 * @param options.downAfter milliseconds: long, for on a busy machine a short one lets a master be replaced that only had
 * to wait its turn. @default 5000
 */
export async function startRedisSentinels(
  options: { readonly replicas?: number; readonly sentinels?: number; readonly downAfter?: number } = {},
): Promise<RedisSentinels> {
  const { replicas = 1, sentinels = 1, downAfter = 5_000 } = options;
  const watched = new Watched(downAfter);
  try {
    const master = await watched.addServer([]);
    for (let i = 0; i < replicas; i++) {
      await watched.addServer(["--replicaof", `127.0.0.1 ${master.port}`]);
    }
    for (let i = 0; i < sentinels; i++) await watched.addSentinel(master.port, Math.floor(sentinels / 2) + 1);
    await watched.settled();
    return watched;
  } catch (error) {
    await watched.stop();
    throw error;
  }
}

interface SentinelProcess {
  readonly port: number;
  readonly client: Redis;
  stop(): Promise<void>;
}

class Watched implements RedisSentinels {
  readonly name: string = NAME;
  readonly downAfter: number;
  readonly servers: RedisServer[] = [];
  readonly #clients = new Map<RedisServer, Redis>();
  readonly #sentinels: SentinelProcess[] = [];
  readonly #paused = new Set<RedisServer>();

  constructor(downAfter: number) {
    this.downAfter = downAfter;
  }

  get addresses(): readonly { readonly host: string; readonly port: number }[] {
    return this.#sentinels.map(({ port }) => ({ host: "127.0.0.1", port }));
  }

  async addServer(args: readonly string[]): Promise<RedisServer> {
    // A master would wait five seconds for more replicas to come.
    const server = await startRedis({ args: ["--repl-diskless-sync-delay", "0", ...args] });
    this.servers.push(server);
    this.#clients.set(server, clientOf(server.port));
    return server;
  }

  async addSentinel(masterPort: number, quorum: number): Promise<void> {
    this.#sentinels.push(await startSentinel(masterPort, quorum, this.downAfter));
  }

  async master(): Promise<RedisServer> {
    const [, port] = (await this.#sentinel("GET-MASTER-ADDR-BY-NAME", NAME)) as [string, string];
    const server = this.servers.find((candidate) => candidate.port === Number(port));
    if (server === undefined) throw new Error(`The sentinels name a master on port ${port}, which is not ours`);
    return server;
  }

  command(server: RedisServer, ...[name, ...args]: readonly (string | number)[]): Promise<unknown> {
    const client = this.#clients.get(server);
    if (client === undefined) throw new Error(`${server.url} is not watched`);
    return client.call(String(name), ...args);
  }

  async failover(by: "kill" | "pause" = "kill"): Promise<RedisServer> {
    const old = await this.master();
    if (by === "kill") {
      await old.kill();
    } else {
      this.#paused.add(old);
      old.pause();
    }
    return this.#replace(old);
  }

  async switchover(): Promise<RedisServer> {
    return this.#replace(await this.master());
  }

  async rejoin(server: RedisServer): Promise<void> {
    if (this.#paused.delete(server)) server.resume();
    else await server.restart();
    await until(`${server.url} follows`, () => this.#follows(server));
    await this.settled();
  }

  async settled(): Promise<void> {
    await until("the sentinels know everybody", async () => {
      const [master] = (await this.#sentinel("MASTERS")) as string[][];
      const state = new Map(pairsOf(master ?? []));
      return (
        state.get("flags") === "master" &&
        Number(state.get("num-slaves")) === this.servers.length - 1 &&
        Number(state.get("num-other-sentinels")) === this.#sentinels.length - 1
      );
    });
    const master = await this.master();
    for (const server of this.servers) {
      if (server !== master) await until(`${server.url} follows`, () => this.#follows(server));
    }
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.disconnect();
    await Promise.all([...this.#sentinels, ...this.servers].map((process) => process.stop()));
  }

  async #replace(old: RedisServer): Promise<RedisServer> {
    // For a while after another failover they refuse.
    await until("the sentinels agree to a failover", () =>
      this.#sentinel("FAILOVER", NAME).then(
        () => true,
        () => false,
      ),
    );
    await until("another master is named", async () => (await this.master()) !== old);
    const master = await this.master();
    await until(`${master.url} is promoted`, async () =>
      String(await this.command(master, "INFO", "replication")).includes("role:master"),
    );
    return master;
  }

  async #follows(server: RedisServer): Promise<boolean> {
    if (this.#clients.get(server)?.status !== "ready") return false;
    const replication = String(await this.command(server, "INFO", "replication"));
    return replication.includes("role:slave") && replication.includes("master_link_status:up");
  }

  #sentinel(...args: readonly string[]): Promise<unknown> {
    const [first] = this.#sentinels;
    if (first === undefined) throw new Error("There are no sentinels");
    return first.client.call("SENTINEL", ...args);
  }
}

async function startSentinel(masterPort: number, quorum: number, downAfter: number): Promise<SentinelProcess> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "tiercache-sentinel-"));
  const config = join(directory, "sentinel.conf");
  writeFileSync(
    config,
    [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${quorum}`,
      `sentinel down-after-milliseconds ${NAME} ${downAfter}`,
      // A second failover may follow the first after twice this.
      `sentinel failover-timeout ${NAME} 2000`,
      "",
    ].join("\n"),
  );
  const child = spawn(redisBinary(), [config, "--sentinel"], { stdio: "ignore" });
  const end = (): void => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  };
  process.once("exit", end);
  const client = clientOf(port);
  try {
    await answers(port);
    // Else it looks for replicas every ten seconds only.
    await client.call("SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PUBLISH-PERIOD", 200, "PING-PERIOD", 100);
  } catch (error) {
    client.disconnect();
    process.off("exit", end);
    end();
    throw error;
  }
  return {
    port,
    client,
    async stop() {
      client.disconnect();
      process.off("exit", end);
      const over = ended(child);
      end();
      await over;
    },
  };
}

function clientOf(port: number): Redis {
  const client = new Redis(port, "127.0.0.1", { retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on("error", () => undefined);
  return client;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once("exit", resolve));
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] as string, flat[i + 1] as string]);
  return pairs;
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`It did not come so far within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
