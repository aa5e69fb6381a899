import { shardTags, slotOf } from "../../../src/redis/slots.js";
import type { RedisCluster } from "../../support/redis-cluster.js";
import type { RedisServer } from "../../support/redis-server.js";
import { sleep, type Harness } from "../harness.js";
import { now, type KeySpace } from "../protocol.js";
import type { Scenario } from "../scenario.js";
import type { Servers } from "../servers.js";
import { throughChanges, type Change } from "./changes.js";

const SPACE: KeySpace = { groups: 10, ids: 6 };
/** Two on each master of the cluster. */
const SHARDS = 6;
/** How long it takes until somebody may notice that a master is gone. */
const UNNOTICED = { full: 2_000, small: 600 } as const;
/** How long servers may take for anything. */
const PATIENCE = 30_000;
/** How long a replica hears nothing of its master before that is lost. */
const LAG = { full: 1_500, small: 500 } as const;

/** What an operator, or chance, does to a master. */
type Way =
  /** Its replica takes its place while both live. */
  | "planned"
  /** SIGKILL; its replica had everything. */
  | "killed"
  /** SIGKILL; its replica had heard nothing for a while. */
  | "lagging";

/** A master and those that may take its place. */
interface Cast {
  readonly master: RedisServer;
  readonly heirs: readonly RedisServer[];
}

/** Servers that stand in for each other, of either kind. */
interface Stage {
  readonly servers: Servers;
  cast(): Promise<Cast>;
  command(server: RedisServer, ...args: readonly (string | number)[]): Promise<unknown>;
  /** A replica takes the place of a master that is gone. */
  failover(master: RedisServer): Promise<unknown>;
  /** A replica takes the place of a master that lives. */
  switchover(master: RedisServer): Promise<unknown>;
  rejoin(server: RedisServer): Promise<void>;
}

async function sentinelStage(harness: Harness): Promise<Stage> {
  const sentinels = await harness.sentinels();
  return {
    servers: sentinels,
    async cast() {
      const master = await sentinels.master();
      return { master, heirs: sentinels.servers.filter((server) => server !== master) };
    },
    command: (server, ...args) => sentinels.command(server, ...args),
    failover: () => sentinels.failover(),
    switchover: () => sentinels.switchover(),
    rejoin: (server) => sentinels.rejoin(server),
  };
}

async function clusterStage(harness: Harness): Promise<Stage> {
  const cluster = await harness.cluster();
  const slot = slotOf(`{${shardTags(SHARDS)[0]}}`);
  const nodeOf = (server: RedisServer): (typeof cluster.nodes)[number] => {
    const node = cluster.nodes.find((one) => one === server);
    if (node === undefined) throw new Error(`The cluster has no node ${server.url}`);
    return node;
  };
  return {
    servers: cluster,
    async cast() {
      await replicasKnown(cluster);
      const master = await cluster.masterOf(slot);
      const shard = (await cluster.shards()).find((one) => one.master === master);
      return { master, heirs: shard?.replicas ?? [] };
    },
    command: (server, ...args) => cluster.command(nodeOf(server), ...args),
    failover: (master) => cluster.failover(nodeOf(master)),
    switchover: (master) => cluster.switchover(nodeOf(master)),
    rejoin: (server) => cluster.rejoin(nodeOf(server)),
  };
}

/** Until every node has heard who is a replica: who it is told first need not be who is asked later. */
async function replicasKnown(cluster: RedisCluster): Promise<void> {
  const { nodes } = cluster;
  const replicas = nodes.length / 2;
  const counts = async (): Promise<number[]> => {
    const views = await Promise.all(nodes.map((node) => cluster.command(node, "CLUSTER", "NODES")));
    return views.map((view) => String(view).match(/ (myself,)?slave /g)?.length ?? 0);
  };
  for (const until = now() + PATIENCE; now() < until; await sleep(25)) {
    if ((await counts()).every((count) => count === replicas)) return;
  }
  throw new Error(`Not every node knew the replicas within ${PATIENCE} ms`);
}

function failover(name: string, open: (harness: Harness) => Promise<Stage>, way: Way): Scenario {
  return {
    name,
    unsupported: ({ peer }) => (peer === "tiercache" ? undefined : "its adapter knows one server only"),
    async run(harness, verdict) {
      const stage = await open(harness);
      const isCluster = "nodes" in stage.servers;
      let away: RedisServer | undefined;
      let lacked = 0;
      const measured = await throughChanges(harness, verdict, {
        servers: stage.servers,
        space: SPACE,
        settings: isCluster ? { shards: SHARDS } : undefined,
        // There and back: the third time, a cluster's masters would not vote yet about a server they had voted about.
        rounds: harness.sized(2, 1),
        forgetful: way === "lagging",
        // Sentinels tell the old master last; a cluster's waits for its replica.
        split: way === "planned" && !isCluster,
        async change(writeOnce) {
          const cast = await stage.cast();
          if (way === "planned") {
            // Some may still write to the old master, and be believed by it.
            const writing = called(stage, cast.heirs, "master").then(writeOnce);
            return replaced(stage, cast, true, () => Promise.all([stage.switchover(cast.master), writing]));
          }
          if (way === "lagging") {
            await endReplication(stage, cast.master);
            await writeOnce();
            await sleep(LAG[harness.size]);
            lacked += await behind(stage, cast);
          }
          if (way === "killed") await writeOnce();
          away = cast.master;
          return replaced(stage, cast, false, async () => {
            await cast.master.kill();
            await sleep(UNNOTICED[harness.size]);
            await stage.failover(cast.master);
          });
        },
        async mend() {
          if (away !== undefined) await stage.rejoin(away);
          away = undefined;
        },
      });
      if (way !== "lagging") return measured;
      verdict.must(lacked > 0, "the replica did not lag behind");
      return { ...measured, more: { ...measured.more, "bytes the replica lacked": lacked } };
    },
  };
}

/** Until a replica calls itself master; one that lives must have heard of it, for until then there are two. */
async function replaced(
  stage: Stage,
  { master, heirs }: Cast,
  isAlive: boolean,
  change: () => Promise<unknown>,
): Promise<Change> {
  const from = now();
  const [, ...times] = await Promise.all([
    change(),
    called(stage, heirs, "master"),
    ...(isAlive ? [called(stage, [master], "slave")] : []),
  ]);
  return { from, to: Math.max(...times) };
}

/** When one of them called itself so. */
async function called(stage: Stage, servers: readonly RedisServer[], role: "master" | "slave"): Promise<number> {
  for (const until = now() + PATIENCE; now() < until; await sleep(5)) {
    for (const server of servers) {
      const [is] = (await stage.command(server, "ROLE")) as [string];
      if (is === role) return now();
    }
  }
  throw new Error(`Nobody was ${role} within ${PATIENCE} ms`);
}

/** The master's replicas lose it, and it takes none any more. */
async function endReplication(stage: Stage, master: RedisServer): Promise<void> {
  await stage.command(master, "ACL", "SETUSER", "default", "-psync", "-sync");
  await stage.command(master, "CLIENT", "KILL", "TYPE", "replica");
}

/** By how many bytes of the replication stream the first that may take the master's place lags behind it. */
async function behind(stage: Stage, { master, heirs }: Cast): Promise<number> {
  const [at = 0, heirAt = 0] = await Promise.all(
    [master, ...heirs.slice(0, 1)].map(async (server) => {
      const info = String(await stage.command(server, "INFO", "replication"));
      return Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1]);
    }),
  );
  return at - heirAt;
}

export const sentinelPlanned: Scenario = failover("sentinel-planned", sentinelStage, "planned");
export const sentinelKilled: Scenario = failover("sentinel-killed", sentinelStage, "killed");
export const sentinelLagging: Scenario = {
  ...failover("sentinel-lagging", sentinelStage, "lagging"),
  isOnlyFull: true,
};
export const clusterPlanned: Scenario = failover("cluster-planned", clusterStage, "planned");
export const clusterKilled: Scenario = failover("cluster-killed", clusterStage, "killed");
export const clusterLagging: Scenario = {
  ...failover("cluster-lagging", clusterStage, "lagging"),
  isOnlyFull: true,
};
