export { chaos, type Chaos, type SharedCall } from "./chaos.js";
export { FakeClock } from "./fake-clock.js";
export { SharedMemory, type SharedMemoryOptions, type SharedStep } from "./shared-memory.js";
export { sharedTierSuite, type SharedTierBounds, type SharedTierServer, type TestRunner } from "./shared-tier-suite.js";
