import { CacheError } from "../errors.js";
import type { ShardedTier, ShardedTierFactory } from "../tiers/shared.js";
import { Admission, admitted } from "./admission.js";
import { isIoRedisCluster, type RedisClusterLike } from "./client.js";
import { nodeRedisClusterConnection, shardConnection } from "./cluster-connection.js";
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
  const { keyPrefix, channelPrefix } = reach.connection(0);
  if (channelPrefix.includes("{")) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected the client's \`keyPrefix\` to hold no "{", which says where in a cluster a key is, got \`${channelPrefix}\``,
    );
  }
  const tags = shardTags(shards);
  return {
    kind: "redis",
    openShards(cacheName): ShardedTier {
      const large = new LargeConnection(reach);
      const countKey = shardCountKey(cacheName, channelPrefix);
      const counting = reach.connection(slotOf(countKey));
      const admission = new Admission(async () => {
        const agreed = await agreedShards(counting, shardCountKey(cacheName, keyPrefix), shards);
        if (agreed !== String(shards)) throw disagreement(agreed, shards, countKey);
      });
      const subscriptions = new MasterSubscriptions({ ...reach.masters, admit: () => admission.ask() });
      const tiers = tags.map((tag) => {
        const layout = shardLayoutOf(cacheName, tag, keyPrefix, channelPrefix);
        const slot = slotOf(layout.channel);
        const parts = new Parts(layout, settings.partsAbove, () => ({ own: large.open(slot), layout }));
        const connection = admitted(reach.connection(slot), admission);
        const signer = settings.signerFor?.(layout.channel);
        return tierOf(
          { connection, layout, bounds: settings.bounds, parts, signer },
          (channel, hears) => subscriptions.subscribe(channel, hears),
          undefined,
        );
      });
      return {
        kind: "redis",
        shards: tiers,
        shardOf: (key) => shardOfPath(key, shards),
        async close() {
          for (const tier of tiers) await tier.close();
          large.close();
        },
      };
    },
  };
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
  if (isIoRedisCluster(client)) {
    return {
      connection: () => shardConnection(ioRedisConnection(client)),
      masters: ioRedisClusterMasters(client),
      duplicate() {
        const own = client.duplicate([], { lazyConnect: true });
        // What an error means shows in the commands.
        own.on("error", () => undefined);
        return {
          connection: () => shardConnection(ioRedisConnection(own)),
          connect: () => own.connect(),
          isOver: () => own.status === "end",
          close: () => own.disconnect(),
        };
      },
    };
  }
  return {
    connection: (slot) => shardConnection(nodeRedisClusterConnection(client, slot)),
    masters: nodeRedisClusterMasters(client),
    duplicate() {
      const own = client.duplicate({ minimizeConnections: true });
      // What an error means shows in the commands.
      own.on("error", () => undefined);
      return {
        connection: (slot) => shardConnection(nodeRedisClusterConnection(own, slot)),
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
      this.#own = { client, standing: client.connect() };
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

/** How many shards the cache has: as many as the first process said that ever asked. */
async function agreedShards(connection: Connection, key: string, shards: number): Promise<string> {
  const before = await connection.send("SET", key, [String(shards), "NX", "GET"]);
  return before === null || before === undefined ? String(shards) : textOf(before);
}

/** With another number a process would look for keys where nobody else puts them, and hear of no invalidation. */
function disagreement(agreed: string, shards: number, key: string): CacheError {
  return new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`shards\` to be ${agreed}, as this cache was begun with, got \`${shards}\`: delete ${JSON.stringify(key)} while none of its processes runs, or give the cache another name`,
  );
}
