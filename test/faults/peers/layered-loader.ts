import { createRequire } from "node:module";
import {
  createGroupNotificationPair,
  createNotificationPair,
  GroupLoader,
  Loader,
  RedisCache,
  RedisGroupCache,
} from "layered-loader";

import { tagOf, type Row, type WorkerSettings } from "../protocol.js";
import { oneServer, type Peer, type PeerCache } from "./peer.js";

interface Params {
  readonly key: string;
  readonly load: () => Promise<unknown>;
}

/** The ioredis it was made for may not be this project's. */
type Client = ConstructorParameters<typeof RedisCache>[0];

const MAX_ITEMS = 100_000;

/**
 * As its README has it: memory, Redis as JSON, and a notification pair on connections of their own. Entries with a tag go
 * through its group loader. A refresh ahead of time takes the place of stale-while-revalidate.
 */
export const layeredLoaderPeer: Peer = {
  name: "layered-loader",
  async open(settings) {
    const connections: Client[] = [];
    const connect = (url: string): Client => {
      const client = newClient(url);
      client.on("error", () => undefined);
      connections.push(client);
      return client;
    };
    const opened = settings.tagged ? await openGroups(settings, connect) : await openFlat(settings, connect);
    return {
      ...opened,
      async close() {
        for (const client of connections) client.disconnect();
      },
    };
  },
};

function newClient(url: string): Client {
  const load = createRequire(createRequire(import.meta.url).resolve("layered-loader"));
  const { Redis } = load("ioredis") as { Redis: new (url: string) => Client };
  return new Redis(url);
}

const config = { json: true, prefix: "faults" } as const;
const logger = { error: () => undefined };
const paramsToKey = { cacheKeyFromLoadParamsResolver: (params: Params) => params.key } as const;
const groupSource = {
  name: "source",
  getFromGroup: (params: Params): Promise<unknown> => params.load(),
  getManyFromGroup: (): Promise<unknown[]> => Promise.reject(new Error("no scenario asks for many")),
} as const;
const flatSource = { dataSourceGetOneFn: (params: Params): Promise<unknown> => params.load() } as const;

function timesOf({ ttl, staleWhileRevalidate }: WorkerSettings): {
  ttlInMsecs: number;
  ttlLeftBeforeRefreshInMsecs?: number;
} {
  return staleWhileRevalidate === undefined
    ? { ttlInMsecs: ttl }
    : { ttlInMsecs: ttl, ttlLeftBeforeRefreshInMsecs: ttl / 2 };
}

async function openFlat(settings: WorkerSettings, connect: (url: string) => Client): Promise<Omit<PeerCache, "close">> {
  const { url, busUrl } = oneServer(settings);
  const { publisher, consumer } = createNotificationPair<unknown>({
    channel: "faults",
    consumerRedis: connect(busUrl),
    publisherRedis: connect(url),
    errorHandler: () => undefined,
  });
  const loader = new Loader<unknown, Params>({
    inMemoryCache: { ...timesOf(settings), maxItems: MAX_ITEMS },
    asyncCache: new RedisCache<unknown>(connect(url), { ...config, ...timesOf(settings) }),
    notificationConsumer: consumer,
    notificationPublisher: publisher,
    logger,
    ...paramsToKey,
    ...flatSource,
  });
  await loader.init();
  return {
    get: (key, { load }) => loader.get({ key, load }) as Promise<Row>,
    value: (key, load) => loader.get({ key, load }),
    async invalidate(how, target) {
      if (how === "key") await loader.invalidateCacheFor(target);
      else await loader.invalidateCache();
    },
  };
}

async function openGroups(
  settings: WorkerSettings,
  connect: (url: string) => Client,
): Promise<Omit<PeerCache, "close">> {
  const { url, busUrl } = oneServer(settings);
  const { publisher, consumer } = createGroupNotificationPair<unknown>({
    channel: "faults-groups",
    consumerRedis: connect(busUrl),
    publisherRedis: connect(url),
    errorHandler: () => undefined,
  });
  const loader = new GroupLoader<unknown, Params>({
    inMemoryCache: { ...timesOf(settings), maxGroups: 1_000, maxItemsPerGroup: MAX_ITEMS },
    asyncCache: new RedisGroupCache<unknown>(connect(url), { ...config, ...timesOf(settings) }),
    notificationConsumer: consumer,
    notificationPublisher: publisher,
    logger,
    ...paramsToKey,
    dataSources: [groupSource],
  });
  await loader.init();
  const get = (key: string, load: () => Promise<unknown>): Promise<unknown> => loader.get({ key, load }, tagOf(key));
  return {
    get: (key, { load }) => get(key, load) as Promise<Row>,
    value: get,
    async invalidate(how, target) {
      if (how === "key") await loader.invalidateCacheFor(target, tagOf(target));
      else if (how === "tag") await loader.invalidateCacheForGroup(target);
      else await loader.invalidateCache();
    },
  };
}
