import {
  createCache,
  memory,
  systemClock,
  type Cache,
  type Clock,
  type Entity,
  type InvalidationTarget,
} from "../../../src/index.js";
import { redis } from "../../../src/redis/index.js";
import { tagOf, type How, type Row, type WorkerSettings } from "../protocol.js";
import { connect, connectServer } from "./connect.js";
import type { Peer, PeerCache, PeerRead } from "./peer.js";

export const tiercachePeer: Peer = {
  name: "tiercache",
  async open(settings) {
    const { redis: to, client, shards } = settings;
    const commands = await connect(to, client);
    const busUrl = to.kind === "server" ? to.busUrl : undefined;
    const bus = busUrl === undefined ? undefined : await connectServer(busUrl, client);
    const cache = createCache({
      name: "faults",
      tiers: [memory(), redis(commands.client, { subscriber: bus?.client, shards })],
      ttl: settings.ttl,
      staleWhileRevalidate: settings.staleWhileRevalidate,
      hardTimeout: settings.hardTimeout,
      loads: settings.loadsAtOnce === undefined ? undefined : { concurrency: settings.loadsAtOnce },
      shared: { maxStaleness: settings.maxStaleness, leaseTtl: settings.leaseTtl, timeout: settings.timeout },
      clock: settings.wallOffset === undefined ? undefined : clockThatIsOff(settings.wallOffset),
    });
    return opened(cache, settings, async () => {
      await cache.close();
      bus?.close();
      commands.close();
    });
  },
};

function opened(cache: Cache, settings: WorkerSettings, close: () => Promise<void>): PeerCache {
  const entity = settings.entity === undefined ? undefined : entityOf(cache, settings.entity);
  return {
    async get(key, { load, patience }: PeerRead) {
      const options = { waitTimeout: patience };
      if (entity !== undefined) return checkedRow(await entity.getOrLoad(key, load, options), settings.entity?.shape);
      return cache.getOrLoad(key, load, settings.tagged ? { ...options, tags: [tagOf(key)] } : options);
    },
    value: (key, load) => cache.getOrLoad(key, load),
    async invalidate(how, target) {
      if (entity !== undefined && how === "key") await entity.invalidate(target);
      else await cache.invalidate(targetOf(how, target));
    },
    close,
  };
}

function targetOf(how: How, target: string): InvalidationTarget {
  switch (how) {
    case "key":
      return { key: target };
    case "tag":
      return { tag: target };
    case "prefix":
      return { prefix: target };
    case "pattern":
      return { pattern: target };
    case "entity":
      return { entity: target };
    case "all":
      return { all: true };
  }
}

/** Two shapes of one entity, as two deployments have them: what shape "b" stores has a field that "a" refuses. */
function entityOf(cache: Cache, { version, shape }: NonNullable<WorkerSettings["entity"]>): Entity<string, Row> {
  return cache.entity<string, Row>({
    name: "item",
    version,
    schema: {
      "~standard": {
        version: 1,
        vendor: "faults",
        validate: (value) =>
          shapeOf(value) === shape ? { value: value as Row } : { issues: [{ message: `not of shape ${shape}` }] },
      },
    },
  });
}

function shapeOf(value: unknown): "a" | "b" {
  return typeof value === "object" && value !== null && "extra" in value ? "b" : "a";
}

function checkedRow(row: Row, shape: "a" | "b" | undefined): Row {
  if (shapeOf(row) !== shape) throw new Error(`A reader of shape ${String(shape)} got ${shapeOf(row)}`);
  return row;
}

function clockThatIsOff(by: number): Clock {
  return { ...systemClock, wall: () => systemClock.wall() + by };
}
