export { chaos, type Chaos, type Disturbances, type SharedCall, type ShardedChaos } from "./chaos.js";
export { FakeClock } from "./fake-clock.js";
export { SharedMemory, type Schedule, type SharedMemoryOptions, type SharedStep } from "./shared-memory.js";
export {
  sharedTierSuite,
  type SharedTierBounds,
  type SharedTierLack,
  type SharedTierServer,
  type TestRunner,
} from "./shared-tier-suite.js";
