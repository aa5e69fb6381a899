import { CacheError } from "../errors.js";
import type { ShardedTier, ShardedTierFactory } from "../tiers/shared.js";
import { Admission, admitted } from "./admission.js";
import { isIoRedisCluster, type RedisClusterLike } from "./client.js";
import { nodeRedisClusterConnection, shardConnection, shardScripts } from "./cluster-connection.js";
import type { Connection } from "./connection.js";
import { ioRedisConnection } from "./ioredis.js";
import { shardCountKey, shardLayoutOf } from "./layout.js";
import { MasterSubscriptions } from "./master-subscriptions.js";
import { ioRedisClusterMasters, nodeRedisClusterMasters, type Whereabouts } from "./masters.js";
import type { OwnConnection } from "./own.js";
import { Parts } from "./parts.js";
import type { Signer } from "./sign.js";
import { shardOfPath, shardTags, slotOf } from "./slots.js";
import type { Bounds } from "./store.js";
import { tierOf } from "./tier.js";
import { textOf } from "./wire.js";

/** What a tier is made with besides its client, resolved. */
export interface TierSettings {
  readonly bounds: Bounds;
  readonly partsAbove: number;
  readonly signerFor: ((channel: string) => Signer) | undefined;
}

/**
 * The shared tier on a Redis Cluster: each shard is a whole tier whose keys and channel lie in one slot, so every step
 * on it is as atomic as on one server, and it moves as a whole when its slot does.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a key prefix that would choose the slots.
 */
export function clusterTiers(client: RedisClusterLike, shards: number, settings: TierSettings): ShardedTierFactory {
  const reach = reachOf(client);
  // As it is at the server, whoever puts it there.
  const { channelPrefix } = reach.connection(0);
  if (channelPrefix.includes("{")) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected the client's \`keyPrefix\` to hold no "{", which says where in a cluster a key is, got \`${channelPrefix}\``,
    );
  }
  const tags = shardTags(shards);
  return { kind: "redis", openShards: (cacheName) => openCluster(reach, cacheName, tags, settings) };
}

function openCluster(reach: Reach, cacheName: string, tags: readonly string[], settings: TierSettings): ShardedTier {
  const { keyPrefix, channelPrefix } = reach.connection(0);
  const large = new LargeConnection(reach);
  const admission = admissionOf(reach, cacheName, tags.length);
  const subscriptions = new MasterSubscriptions({ ...reach.masters, admit: () => admission.ask() });
  const shards = tags.map((tag) => {
    const layout = shardLayoutOf(cacheName, tag, keyPrefix, channelPrefix);
    const slot = slotOf(layout.channel);
    const wiring = {
      connection: admitted(reach.connection(slot), admission),
      layout,
      bounds: settings.bounds,
      parts: new Parts(layout, settings.partsAbove, () => ({ own: large.open(slot), layout })),
      signer: settings.signerFor?.(layout.channel),
    };
    return tierOf(wiring, (channel, hears) => subscriptions.subscribe(channel, hears), undefined);
  });
  return {
    kind: "redis",
    shards,
    shardOf: (key) => shardOfPath(key, shards.length),
    async close() {
      for (const shard of shards) await shard.close();
      large.close();
    },
  };
}

/**
 * That all processes of a cache count the same shards: with another number one would look for keys where nobody else
 * puts them, and hear of no invalidation. As many as the first of them said that ever asked.
 */
function admissionOf(reach: Reach, cacheName: string, shards: number): Admission {
  const { keyPrefix, channelPrefix } = reach.connection(0);
  // At the server the client's own prefix stands before it too.
  const name = shardCountKey(cacheName, channelPrefix);
  const connection = reach.connection(slotOf(name));
  return new Admission(async () => {
    const before = await connection.send("SET", shardCountKey(cacheName, keyPrefix), [String(shards), "NX", "GET"]);
    if (before === null || before === undefined || textOf(before) === String(shards)) return;
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`shards\` to be ${textOf(before)}, as this cache was begun with, got \`${shards}\`: delete ${JSON.stringify(name)} while none of its processes runs, or give the cache another name`,
    );
  });
}

/** What differs between the libraries. */
interface Reach {
  /** The way to what lies in a slot. */
  connection(slot: number): Connection;
  readonly masters: Whereabouts;
  /** A client like this one, not yet connected; its errors are heard. */
  duplicate(): Duplicate;
}

interface Duplicate extends Pick<Reach, "connection"> {
  connect(): Promise<unknown>;
  isOver(): boolean;
  close(): void;
}

function reachOf(client: RedisClusterLike): Reach {
  const scripts = shardScripts();
  if (isIoRedisCluster(client)) {
    return {
      connection: () => shardConnection(ioRedisConnection(client), scripts),
      masters: ioRedisClusterMasters(client),
      duplicate() {
        const own = client.duplicate([], { lazyConnect: true });
        // What an error means shows in the commands.
        own.on("error", () => undefined);
        return {
          connection: () => shardConnection(ioRedisConnection(own), scripts),
          connect: () => own.connect(),
          isOver: () => own.status === "end",
          close: () => own.disconnect(),
        };
      },
    };
  }
  return {
    connection: (slot) => shardConnection(nodeRedisClusterConnection(client, slot), scripts),
    masters: nodeRedisClusterMasters(client),
    duplicate() {
      const own = client.duplicate({ minimizeConnections: true });
      // What an error means shows in the commands.
      own.on("error", () => undefined);
      return {
        connection: (slot) => shardConnection(nodeRedisClusterConnection(own, slot), scripts),
        connect: () => own.connect(),
        isOver: () => !own.isOpen,
        close() {
          if (own.isOpen) own.destroy();
        },
      };
    },
  };
}

/** One client more for the large entries of all shards, made for the first of them. */
class LargeConnection {
  readonly #reach: Reach;
  #own: { readonly client: Duplicate; readonly standing: Promise<unknown> } | undefined;

  constructor(reach: Reach) {
    this.#reach = reach;
  }

  open(slot: number): OwnConnection {
    if (this.#own?.client.isOver() === true) this.#own = undefined;
    if (this.#own === undefined) {
      const client = this.#reach.duplicate();
      const standing = client.connect();
      this.#own = { client, standing };
      // One that never stood is no connection to keep: the next large value makes another.
      standing.catch(() => {
        client.close();
        if (this.#own?.client === client) this.#own = undefined;
      });
    }
    const { client, standing } = this.#own;
    // The other shards use it as well: it is closed with the last of them.
    return { connection: client.connection(slot), standing, isOver: () => client.isOver(), close: () => undefined };
  }

  close(): void {
    this.#own?.client.close();
    this.#own = undefined;
  }
}
