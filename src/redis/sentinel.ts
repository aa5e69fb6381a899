import { CacheError } from "../errors.js";
import { Admission, admitted } from "./admission.js";
import type { NodeRedisSentinelLike } from "./client.js";
import { optionText, type Connection, type Push, type PushListener } from "./connection.js";
import { MasterSubscriptions } from "./master-subscriptions.js";
import { nodeRedisSentinelMaster } from "./masters.js";
import { nodeRedisConnectionBy, nodeRedisOptions } from "./node-redis.js";
import type { OwnConnection } from "./own.js";

/** How a tier uses a node-redis sentinel client; ioredis' client is used like any other. */
export interface SentinelReach {
  readonly connection: Connection;
  readonly openPush: (channel: string, hears: PushListener) => Push;
  /** A client like this one, for what must not make others wait. */
  readonly openOwn: () => OwnConnection;
}

export function sentinelReach(client: NodeRedisSentinelLike): SentinelReach {
  const admission = new Admission(() => refuseDatabase(client));
  const subscriptions = new MasterSubscriptions({
    ...nodeRedisSentinelMaster(client),
    admit: () => admission.ask(),
  });
  return {
    connection: admitted(sentinelConnection(client), admission),
    openPush: (channel, hears) => subscriptions.subscribe(channel, hears),
    openOwn: () => duplicateOf(client) ?? givenOwn(client),
  };
}

function duplicateOf(client: NodeRedisSentinelLike): OwnConnection | undefined {
  const own = client.duplicate?.();
  if (own === undefined) return undefined;
  // What an error means shows in the commands.
  own.on("error", () => undefined);
  return {
    connection: sentinelConnection(own),
    standing: own.connect(),
    isOver: () => !own.isOpen,
    close() {
      // Whatever it says, it is not used any more.
      own.destroy().catch(() => undefined);
    },
  };
}

/** Where the client cannot be duplicated, what is large goes with the rest. */
function givenOwn(client: NodeRedisSentinelLike): OwnConnection {
  return {
    connection: sentinelConnection(client),
    standing: Promise.resolve(),
    isOver: () => false,
    close: () => undefined,
  };
}

/** Only the master is asked, whatever the client was told of replicas. */
function sentinelConnection(client: NodeRedisSentinelLike): Connection {
  const keyPrefix = optionText(client, "_keyPrefix");
  return nodeRedisConnectionBy(
    (_key, args) => client.sendCommand(false, args, nodeRedisOptions(client.isReady)),
    keyPrefix,
    keyPrefix,
  );
}

/** The client does not tell its database until it is connected, but it is part of the name of the channel. */
async function refuseDatabase(client: NodeRedisSentinelLike): Promise<void> {
  const database = await client._execute(false, async (master) => optionText(master.options, "database"));
  if (database === "" || database === "0") return;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected the sentinel client's \`database\` to be 0, got \`${database}\`: use \`keyPrefix\` instead`,
  );
}
