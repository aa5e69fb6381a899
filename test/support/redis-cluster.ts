import { Redis } from "ioredis";
import { freePort } from "../../scripts/servers/port.js";
import { startRedis, type RedisServer } from "./redis-server.js";

/** One server of a cluster. Its `stop` belongs to the cluster. */
export interface ClusterNode extends RedisServer {
  /** The cluster's own name for it: 40 hex digits, the same as long as it lives, restarts included. */
  readonly id: string;
}

/** A master that now serves slots, and the replicas that follow it. */
export interface ClusterShard {
  readonly master: ClusterNode;
  readonly replicas: readonly ClusterNode[];
}

/** A private Redis Cluster on loopback: masters with slots in equal rows, and replicas of each. */
export interface RedisCluster {
  readonly nodes: readonly ClusterNode[];
  /** Where clients begin: every node, as `redis://127.0.0.1:port`. */
  readonly urls: readonly string[];
  /** The same as ioredis takes it. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Milliseconds without an answer after which a node counts as failed. */
  readonly nodeTimeout: number;
  /** Who serves what now, by a node that answers. */
  shards(): Promise<readonly ClusterShard[]>;
  /** The node that serves the slot now. */
  masterOf(slot: number): Promise<ClusterNode>;
  /** One command to one node. */
  command(node: ClusterNode, ...args: readonly (string | number)[]): Promise<unknown>;
  /** One command to every master. */
  onMasters(...args: readonly (string | number)[]): Promise<unknown[]>;
  /**
   * Ends a master and has a replica take its place at once (CLUSTER FAILOVER TAKEOVER: the other masters need not have
   * noticed, and need not vote, which they do but once in a while); waits until everybody knows. The node is away
   * afterwards; `rejoin` brings it back as a replica. To see a loss being noticed, start with a short `nodeTimeout` and
   * kill a node.
   *
   * @param by SIGKILL, or SIGSTOP: connections to it stay open and nothing answers. @default "kill"
   * @returns the replica that was promoted.
   */
  failover(master: ClusterNode, by?: "kill" | "pause"): Promise<ClusterNode>;
  /** Lets a replica take its master's place while both live (CLUSTER FAILOVER). @returns the replica. */
  switchover(master: ClusterNode): Promise<ClusterNode>;
  /** Starts a killed node again, lets a paused one go on, and waits until it follows a master. */
  rejoin(node: ClusterNode): Promise<void>;
  /**
   * Moves slots with all their keys as an operator does: SETSLOT IMPORTING and MIGRATING, MIGRATE a few keys at a time, then
   * SETSLOT NODE on every master.
   *
   * @param options.batch keys per MIGRATE. @default 100
   * @param options.during called between two batches, while the slot has keys on both sides.
   */
  moveSlots(slots: readonly number[], to: ClusterNode, options?: MoveOptions): Promise<void>;
  /** Waits until all living nodes say the same, all slots are served, and every replica has its master's data. */
  settled(): Promise<void>;
  /** Ends every node. Twice is once. */
  stop(): Promise<void>;
}

export interface MoveOptions {
  readonly batch?: number;
  readonly during?: () => Promise<void> | void;
}

const SLOTS = 16_384;
/** How long anything may take that a cluster does by itself; milliseconds. */
const PATIENCE = 30_000;

/**
 * Starts a cluster and waits until it serves.
 *
 * @param options.nodeTimeout milliseconds: long, for on a busy machine a short one lets masters be replaced that only
 * had to wait their turn. @default 5000
 */
export async function startRedisCluster(
  options: { readonly masters?: number; readonly replicas?: number; readonly nodeTimeout?: number } = {},
): Promise<RedisCluster> {
  const { masters = 3, replicas = 1, nodeTimeout = 5_000 } = options;
  const nodes: LocalNode[] = [];
  const cluster = new LocalCluster(nodes, nodeTimeout);
  try {
    for (let i = 0; i < masters * (1 + replicas); i++) nodes.push(await startNode(nodeTimeout));
    await cluster.form(masters);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function startNode(nodeTimeout: number): Promise<LocalNode> {
  const busPort = await freePort();
  const server = await startRedis({
    args: [
      ...["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", String(busPort)],
      // A replica that was cut off for long may stand for election too: there is no other.
      ...["--cluster-node-timeout", String(nodeTimeout), "--cluster-replica-validity-factor", "0"],
      ...["--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0"],
    ],
  });
  const client = new Redis(server.port, "127.0.0.1", { retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on("error", () => undefined);
  return new LocalNode(server, busPort, client, String(await client.call("CLUSTER", "MYID")));
}

/** A node keeps its name over `restart`. */
class LocalNode implements ClusterNode {
  readonly id: string;
  readonly busPort: number;
  readonly client: Redis;
  readonly #server: RedisServer;
  #paused = false;

  constructor(server: RedisServer, busPort: number, client: Redis, id: string) {
    this.#server = server;
    this.busPort = busPort;
    this.client = client;
    this.id = id;
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return this.#server.url;
  }

  get pid(): number {
    return this.#server.pid;
  }

  /** Whether a command to it would be answered. */
  get answers(): boolean {
    return !this.#paused && this.client.status === "ready";
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
    this.#server.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#server.resume();
  }

  async kill(): Promise<void> {
    await this.#server.kill();
    this.#paused = false;
  }

  async restart(): Promise<void> {
    await this.#server.restart();
    this.#paused = false;
  }

  async stop(): Promise<void> {
    this.client.disconnect();
    await this.#server.stop();
  }
}

class LocalCluster implements RedisCluster {
  readonly nodes: readonly LocalNode[];
  readonly nodeTimeout: number;

  constructor(nodes: readonly LocalNode[], nodeTimeout: number) {
    this.nodes = nodes;
    this.nodeTimeout = nodeTimeout;
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ url }) => url);
  }

  get addresses(): readonly { readonly host: string; readonly port: number }[] {
    return this.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
  }

  /** Makes one cluster of the nodes: the first `masters` of them get the slots, the others follow them in turn. */
  async form(masters: number): Promise<void> {
    const heads = this.nodes.slice(0, masters);
    for (const [i, node] of this.nodes.entries()) {
      // Of the same epoch, nodes would have to settle first who is who.
      await this.command(node, "CLUSTER", "SET-CONFIG-EPOCH", i + 1);
    }
    for (const [i, node] of heads.entries()) {
      const [from, end] = [Math.floor((i * SLOTS) / masters), Math.floor(((i + 1) * SLOTS) / masters)];
      await this.command(node, "CLUSTER", "ADDSLOTSRANGE", from, end - 1);
      for (const other of this.nodes) {
        if (other !== node) await this.command(node, "CLUSTER", "MEET", "127.0.0.1", other.port, other.busPort);
      }
    }
    await until("all nodes know each other", async () => {
      const views = await Promise.all(this.nodes.map((node) => this.#view(node)));
      return views.every((view) => view.length === this.nodes.length);
    });
    for (const [i, node] of this.nodes.slice(masters).entries()) {
      await this.command(node, "CLUSTER", "REPLICATE", heads[i % masters]?.id ?? "");
    }
    await this.settled();
  }

  async shards(): Promise<readonly ClusterShard[]> {
    const view = await this.#view(this.#living());
    return view
      .filter((line) => line.serves && !line.failed)
      .map(({ id }) => ({
        master: this.#byId(id),
        replicas: view.filter((line) => line.master === id && !line.failed).map((line) => this.#byId(line.id)),
      }));
  }

  async masterOf(slot: number): Promise<LocalNode> {
    const rows = (await this.command(this.#living(), "CLUSTER", "SLOTS")) as [number, number, [string, number]][];
    const row = rows.find(([from, to]) => from <= slot && slot <= to);
    const node = this.nodes.find(({ port }) => port === row?.[2][1]);
    if (node === undefined) throw new Error(`Nobody serves slot ${slot}`);
    return node;
  }

  command(node: ClusterNode, ...[name, ...args]: readonly (string | number)[]): Promise<unknown> {
    return this.#byId(node.id).client.call(String(name), ...args);
  }

  async onMasters(...args: readonly (string | number)[]): Promise<unknown[]> {
    const shards = await this.shards();
    return Promise.all(shards.map(({ master }) => this.command(master, ...args)));
  }

  async failover(master: ClusterNode, by: "kill" | "pause" = "kill"): Promise<ClusterNode> {
    const heirs = await this.#replicasOf(master);
    if (by === "kill") await master.kill();
    else master.pause();
    await this.command(heirs[0], "CLUSTER", "FAILOVER", "TAKEOVER");
    return this.#successorOf(master, heirs);
  }

  async switchover(master: ClusterNode): Promise<ClusterNode> {
    const [heir] = await this.#replicasOf(master);
    await this.command(heir, "CLUSTER", "FAILOVER");
    return this.#successorOf(master, [heir]);
  }

  async rejoin(node: ClusterNode): Promise<void> {
    if (this.#byId(node.id).paused) node.resume();
    else await node.restart();
    await until(`${node.url} follows`, async () => {
      if (!this.#byId(node.id).answers) return false;
      // Until it has heard of its successor it takes itself for the master.
      return String(await this.command(node, "INFO", "replication")).includes("role:slave");
    });
    await this.settled();
  }

  async moveSlots(slots: readonly number[], to: ClusterNode, { batch = 100, during }: MoveOptions = {}): Promise<void> {
    for (const slot of slots) {
      const from = await this.masterOf(slot);
      if (from.id === to.id) continue;
      await this.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
      await this.command(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
      for (;;) {
        const keys = (await this.command(from, "CLUSTER", "GETKEYSINSLOT", slot, batch)) as string[];
        if (keys.length === 0) break;
        await this.command(from, "MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...keys);
        await during?.();
      }
      // The new owner first: in between there are two rather than none.
      const masters = (await this.shards()).map(({ master }) => master);
      const others = masters.filter(({ id }) => id !== to.id && id !== from.id);
      for (const node of [to, from, ...others]) await this.command(node, "CLUSTER", "SETSLOT", slot, "NODE", to.id);
    }
    // A slot that moved on before everybody had heard of it might be claimed by two.
    await this.settled();
  }

  async settled(): Promise<void> {
    await until("every node sees a whole cluster", async () => {
      for (const node of this.nodes.filter(({ answers }) => answers)) {
        const info = String(await this.command(node, "CLUSTER", "INFO"));
        if (!info.includes("cluster_state:ok")) return false;
        const replication = String(await this.command(node, "INFO", "replication"));
        if (replication.includes("role:slave") && !replication.includes("master_link_status:up")) return false;
      }
      const claims = await Promise.all(
        this.nodes.filter(({ answers }) => answers).map(async (node) => claimsOf(await this.#view(node))),
      );
      if (new Set(claims).size > 1) return false;
      const shards = await this.shards();
      const placed = shards.reduce((sum, { replicas }) => sum + 1 + replicas.length, 0);
      return placed === this.nodes.filter(({ answers }) => answers).length;
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async #replicasOf(master: ClusterNode): Promise<[ClusterNode, ...ClusterNode[]]> {
    const [first, ...rest] = (await this.shards()).find((shard) => shard.master.id === master.id)?.replicas ?? [];
    if (first === undefined) throw new Error(`No replica follows ${master.url}`);
    return [first, ...rest];
  }

  async #successorOf(master: ClusterNode, heirs: readonly ClusterNode[]): Promise<ClusterNode> {
    let successor: ClusterNode | undefined;
    await until(`${master.url} is replaced`, async () => {
      successor = (await this.shards()).find((shard) => heirs.includes(shard.master))?.master;
      return successor !== undefined;
    });
    await this.settled();
    return successor as ClusterNode;
  }

  #living(): LocalNode {
    const node = this.nodes.find(({ answers }) => answers);
    if (node === undefined) throw new Error("No node of the cluster answers");
    return node;
  }

  async #view(node: LocalNode): Promise<NodeLine[]> {
    const lines = String(await this.command(node, "CLUSTER", "NODES"))
      .trim()
      .split("\n");
    return lines.map(parseLine).filter(({ known }) => known);
  }

  #byId(id: string): LocalNode {
    const node = this.nodes.find((candidate) => candidate.id === id);
    if (node === undefined) throw new Error(`The cluster has no node ${id}`);
    return node;
  }
}

/** What one node says of another. */
interface NodeLine {
  readonly id: string;
  readonly failed: boolean;
  /** The two have shaken hands. */
  readonly known: boolean;
  /** Of a replica, its master's id. */
  readonly master: string | undefined;
  readonly serves: boolean;
  /** The slots it serves, and since which epoch. */
  readonly claim: string;
}

function parseLine(line: string): NodeLine {
  const [id = "", , flags = "", master = "-", , , epoch = "", , ...ranges] = line.split(" ");
  const slots = ranges.filter((range) => !range.startsWith("["));
  return {
    id,
    failed: flags.split(",").includes("fail"),
    known: !flags.includes("handshake"),
    master: master === "-" ? undefined : master,
    serves: slots.length > 0,
    claim: [id, epoch, ...slots].join(" "),
  };
}

/** Who serves what, as one node sees it. */
function claimsOf(view: readonly NodeLine[]): string {
  return view
    .filter(({ serves }) => serves)
    .map(({ claim }) => claim)
    .sort()
    .join("\n");
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`The cluster did not come so far within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
