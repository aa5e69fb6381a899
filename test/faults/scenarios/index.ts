import type { Scenario } from "../scenario.js";
import { coldStart } from "./cold-start.js";
import { bigTag, lateReaders, lateReplies, rollingDeploy, wipedDuringLoads } from "./deploy.js";
import {
  clusterKilled,
  clusterLagging,
  clusterPlanned,
  sentinelKilled,
  sentinelLagging,
  sentinelPlanned,
} from "./failover.js";
import { frozenProcess, joinedWhileDeaf, redisHung } from "./frozen.js";
import { failingLoader, hangingLoader, holderBlocked, slowLoader, wallClocks } from "./loaders.js";
import {
  flushAll,
  logTrimmed,
  lostWhileDeaf,
  marksEvicted,
  marksLostUnread,
  outOfMemory,
  restartEmpty,
} from "./lost-state.js";
import { resharding } from "./resharding.js";
import { connectionCuts, halfOpenIoRedis, halfOpenNodeRedis, missedPushes } from "./sockets.js";
import { holderKilled, hotKey, leaseOrphaned, stampede } from "./stampede.js";
import { lagOfOthers, randomFaults, valuesAcross } from "./writers.js";

/** Every scenario, in the order they are told of. */
export const SCENARIOS: readonly Scenario[] = [
  stampede,
  hotKey,
  holderKilled,
  leaseOrphaned,
  slowLoader,
  failingLoader,
  hangingLoader,
  holderBlocked,
  coldStart,
  lagOfOthers,
  lateReaders,
  lateReplies,
  wipedDuringLoads,
  bigTag,
  rollingDeploy,
  frozenProcess,
  joinedWhileDeaf,
  redisHung,
  halfOpenNodeRedis,
  halfOpenIoRedis,
  connectionCuts,
  missedPushes,
  flushAll,
  restartEmpty,
  logTrimmed,
  marksEvicted,
  marksLostUnread,
  lostWhileDeaf,
  outOfMemory,
  wallClocks,
  randomFaults(1),
  randomFaults(2),
  randomFaults(3),
  valuesAcross,
  sentinelPlanned,
  sentinelKilled,
  sentinelLagging,
  clusterPlanned,
  clusterKilled,
  clusterLagging,
  resharding,
];
