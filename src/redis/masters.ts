import { CacheError } from "../errors.js";
import type {
  IoRedisClusterLike,
  IoRedisNodeLike,
  NodeRedisClusterLike,
  NodeRedisNodeLike,
  NodeRedisSentinelLike,
} from "./client.js";
import type { MasterConnection, MasterListener, Masters } from "./master-subscriptions.js";
import { slotOf } from "./slots.js";

/** All but what a cache decides: when it may subscribe at all. */
export type Whereabouts = Omit<Masters, "admit">;

/** The masters of a node-redis cluster; channels are sharded. */
export function nodeRedisClusterMasters(client: NodeRedisClusterLike): Whereabouts {
  return {
    addressOf: (channel) => client.slots[slotOf(channel)]?.master.address,
    async refresh(channel) {
      // A server that is away cannot say where its slots went: another must be asked.
      if (client.slots[slotOf(channel)]?.master.client?.isReady !== true) {
        const other = client.masters.find((master) => master.client?.isReady === true)?.client;
        if (other !== undefined) await client._slots?.rediscover?.(other);
      }
      // A channel is no key: this finds nothing, where the channel is.
      await client.sendCommand(channel, false, ["GET", channel]);
    },
    async open(address, hears) {
      const master = client.slots.find((shard) => shard?.master.address === address)?.master;
      if (master === undefined) throw unknownServer(address);
      return nodeRedisMaster(master.client ?? (await client.nodeClient(master)), true, hears);
    },
    isOver: () => !client.isOpen,
  };
}

/** The one master behind node-redis' sentinels; channels are ordinary ones. */
export function nodeRedisSentinelMaster(client: NodeRedisSentinelLike): Whereabouts {
  const address = (): string | undefined => {
    const node = client.getMasterNode();
    return node && `${node.host}:${node.port}`;
  };
  return {
    addressOf: address,
    refresh: () => client._execute(false, async () => undefined),
    open: (wanted, hears) =>
      client._execute(false, async (master) => {
        if (address() !== wanted) throw unknownServer(wanted);
        return nodeRedisMaster(master, false, hears);
      }),
    isOver: () => !client.isOpen,
  };
}

/** The masters of an ioredis cluster; channels are sharded. */
export function ioRedisClusterMasters(client: IoRedisClusterLike): Whereabouts {
  return {
    addressOf: (channel) => client.slots[slotOf(channel)]?.[0],
    refresh: (channel) => client.callBuffer("get", channel),
    async open(address, hears) {
      const master = client.nodes("master").find((node) => addressOf(node) === address);
      if (master === undefined) throw unknownServer(address);
      return new IoRedisMaster(master, hears);
    },
    isOver: () => client.status === "end",
  };
}

function nodeRedisMaster(master: NodeRedisNodeLike, sharded: boolean, hears: MasterListener): MasterConnection {
  // The cache of the client's own belongs to its commands.
  const own = master.duplicate({ socket: socketOf(master), clientSideCache: undefined });
  let over = false;
  const close = (): void => {
    over = true;
    if (own.isOpen) own.destroy();
  };
  const onLost = (): void => {
    if (over) return;
    close();
    hears.lost();
  };
  for (const event of ["error", "terminated", "end"]) own.on(event, onLost);
  own.on("sharded-channel-moved", (channel) => {
    if (!over) hears.moved(String(channel));
  });
  // One and the same function for every channel, however often: the client keeps a set of them.
  const onMessage = (message: string, channel: string): void => {
    if (!over) hears.message(channel, message);
  };
  return {
    connect: () => own.connect(),
    subscribe: (channel) => (sharded ? own.sSubscribe(channel, onMessage) : own.subscribe(channel, onMessage)),
    unsubscribe(channel) {
      const done = sharded ? own.sUnsubscribe(channel, onMessage) : own.unsubscribe(channel, onMessage);
      // Nobody listens any more, whatever the server answers.
      done.catch(() => undefined);
    },
    close,
  };
}

/** Where its socket leads, and no second attempt. */
function socketOf(node: NodeRedisNodeLike): object {
  const socket: unknown = node.options && Reflect.get(node.options, "socket");
  return { ...(typeof socket === "object" ? socket : undefined), reconnectStrategy: false };
}

/** A connection of ioredis' to one master. */
class IoRedisMaster implements MasterConnection {
  readonly #own: IoRedisNodeLike;
  readonly #hears: MasterListener;
  readonly #channels = new Set<string>();
  #over = false;
  #checking = false;
  #again = false;

  constructor(master: IoRedisNodeLike, hears: MasterListener) {
    this.#hears = hears;
    this.#own = master.duplicate({
      retryStrategy: null,
      autoResubscribe: false,
      lazyConnect: true,
      enableOfflineQueue: true,
      enableAutoPipelining: false,
      // It would be put before channels as well.
      keyPrefix: "",
    });
    for (const event of ["error", "close", "end"]) this.#own.on(event, () => this.#lost());
    this.#own.on("smessage", (channel, message) => {
      if (!this.#over) hears.message(String(channel), String(message));
    });
    // It rejects never.
    this.#own.on("moved", () => void this.#check());
  }

  connect(): Promise<unknown> {
    return this.#own.connect();
  }

  async subscribe(channel: string): Promise<void> {
    await this.#own.ssubscribe(channel);
    this.#channels.add(channel);
  }

  unsubscribe(channel: string): void {
    this.#channels.delete(channel);
    // Nobody listens any more, whatever the server answers.
    this.#own.sunsubscribe(channel).catch(() => undefined);
  }

  close(): void {
    this.#over = true;
    this.#own.disconnect();
  }

  #lost(): void {
    if (this.#over) return;
    this.close();
    this.#hears.lost();
  }

  /** "moved" does not say which, and comes when a subscription is refused as well: who still may, may subscribe again. */
  async #check(): Promise<void> {
    this.#again = true;
    if (this.#checking) return;
    this.#checking = true;
    while (this.#again && !this.#over) {
      this.#again = false;
      const refused = await Promise.all([...this.#channels].map((channel) => refusedOf(this.#own, channel)));
      for (const channel of refused) {
        if (!this.#over && channel !== undefined && this.#channels.delete(channel)) this.#hears.moved(channel);
      }
    }
    this.#checking = false;
  }
}

/** The channel, if its server does not let us have it. */
function refusedOf(server: IoRedisNodeLike, channel: string): Promise<string | undefined> {
  return server.ssubscribe(channel).then(
    () => undefined,
    () => channel,
  );
}

function addressOf(node: IoRedisNodeLike): string {
  const { host, port } = (node.options ?? {}) as { readonly host?: unknown; readonly port?: unknown };
  return `${String(host)}:${String(port)}`;
}

function unknownServer(address: string): CacheError {
  return new CacheError("ERR_CACHE_TIER", `The client does not know ${address} as a master any more`);
}
