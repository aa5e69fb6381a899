export { chaos, type Chaos, type Disturbances, type SharedCall, type ShardedChaos } from "./chaos.js";
export { FakeClock } from "./fake-clock.js";
export { MemoryFeed, type MemoryCommit, type MemoryFeedOptions } from "./feed-memory.js";
export { MemoryJournal, type JournalCall, type MemoryJournalOptions } from "./memory-journal.js";
export { MemorySource, type MemoryRow, type MemorySourceOptions, type SourceStep } from "./memory-source.js";
export { SharedMemory, type Schedule, type SharedMemoryOptions, type SharedStep } from "./shared-memory.js";
export {
  sharedTierSuite,
  type SharedTierBounds,
  type SharedTierLack,
  type SharedTierServer,
  type TestRunner,
} from "./shared-tier-suite.js";
