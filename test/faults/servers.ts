import type { RedisCluster } from "../support/redis-cluster.js";
import type { RedisSentinels } from "../support/redis-sentinel.js";
import type { RedisServer } from "../support/redis-server.js";
import type { RedisPlace } from "./protocol.js";

/** What a scenario's caches are opened on: one server, or some of which one stands in for another. */
export type Servers = RedisServer | RedisSentinels | RedisCluster;

/** How a worker is told of them. */
export function placeOf(servers: Servers): RedisPlace {
  if ("nodes" in servers) return { kind: "cluster", addresses: servers.addresses };
  if ("servers" in servers) return { kind: "sentinels", name: servers.name, addresses: servers.addresses };
  return { kind: "server", url: servers.url };
}
