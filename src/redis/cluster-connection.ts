import { createHash } from "node:crypto";
import type { NodeRedisClusterLike } from "./client.js";
import { optionText, type Connection, type Script } from "./connection.js";
import { nodeRedisConnectionBy, nodeRedisOptions } from "./node-redis.js";

/** Waits before a command is sent again that a moving slot refused; milliseconds, together within one call's timeout. */
const TRY_AGAIN_AFTER: readonly number[] = [5, 10, 20, 40, 80];

/**
 * The way to one shard through a node-redis cluster client.
 *
 * A command goes to the client of the slot's master directly, which costs a quarter of what the cluster's own way does. Only
 * where that master refuses it because the slot is, or goes, elsewhere does the cluster send it, and learns. Never to a
 * replica, whatever the cluster was told of them.
 */
export function nodeRedisClusterConnection(client: NodeRedisClusterLike, slot: number): Connection {
  const keyPrefix = optionText(client, "_keyPrefix");
  return nodeRedisConnectionBy(
    async (key, args) => {
      const master = client.isReady === false ? undefined : client.slots[slot]?.master.client;
      if (master?.isReady !== true) return client.sendCommand(key, false, args, nodeRedisOptions(false));
      try {
        return await master.sendCommand(args, nodeRedisOptions(true));
      } catch (error) {
        if (!isElsewhere(error)) throw error;
        return client.sendCommand(key, false, args, nodeRedisOptions(true));
      }
    },
    keyPrefix,
    keyPrefix,
  );
}

/** The scripts as they are in a cluster, each made once. */
export type ShardScripts = (script: Script) => Script;

export function shardScripts(): ShardScripts {
  const made = new WeakMap<Script, Script>();
  return (script) => {
    const known = made.get(script);
    if (known !== undefined) return known;
    const own = publishingToShard(script);
    made.set(script, own);
    return own;
  };
}

/**
 * A connection whose scripts publish on sharded channels, which only the servers of the slot hear of, and whose commands
 * are sent again, a few times, when a slot that is moving has some of their keys on either side: nothing of them has run
 * (Redis Cluster specification, "Multiple keys operations").
 */
export function shardConnection(connection: Connection, scripts: ShardScripts): Connection {
  return {
    keyPrefix: connection.keyPrefix,
    channelPrefix: connection.channelPrefix,
    mget: (keys) => patiently(() => connection.mget(keys)),
    run: (script, keys, args) => patiently(() => connection.run(scripts(script), keys, args)),
    send: (command, key, args) => patiently(() => connection.send(command, key, args)),
  };
}

/** The same script for a cluster. */
export function publishingToShard(script: Script): Script {
  const text = script.text.replaceAll("redis.call('PUBLISH'", "redis.call('SPUBLISH'");
  return text === script.text ? script : { text, sha: createHash("sha1").update(text).digest("hex") };
}

async function patiently<T>(command: () => Promise<T>): Promise<T> {
  for (const wait of TRY_AGAIN_AFTER) {
    try {
      return await command();
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("TRYAGAIN"))) throw error;
      await new Promise((resolve) => void setTimeout(resolve, wait));
    }
  }
  return command();
}

/** Whether the server refused the command because the slot is, or goes, elsewhere: nothing of it has run. */
function isElsewhere(error: unknown): boolean {
  return error instanceof Error && (error.message.startsWith("MOVED") || error.message.startsWith("ASK"));
}
