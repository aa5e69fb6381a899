export { createCache } from "./cache.js";
export { cached, createDecorators, invalidates } from "./decorators.js";
export { CacheError } from "./errors.js";
export { key, Key } from "./keys.js";
export { pattern, Pattern } from "./patterns.js";
export { presets } from "./presets.js";
export { repository } from "./repository.js";
export { systemClock } from "./clock.js";
export { memory } from "./tiers/memory/memory.js";

export type * from "./api.js";
export type { Clock, Timer } from "./clock.js";
export type {
  CachedOptions,
  CachedDecorator,
  CacheOf,
  Decorators,
  Invalidates,
  InvalidatesDecorator,
} from "./decorators.js";
export type { DependencyTag, TagInput } from "./dependency-tag.js";
export type { Duration } from "./duration.js";
export type { CacheErrorCode } from "./errors.js";
export type { CacheEvent, CacheEventType, MissReason, RefusalReason, TierName } from "./events.js";
export type { Explanation, TierExplanation } from "./explain.js";
export type { CacheInspector, EntityFacts, Purged } from "./inspect/inspector.js";
export type { EntryFacts, InspectedEntry, ReadStep } from "./inspect/inspect-entry.js";
export type { HeldEntry, MemoryCensus, MemoryShare } from "./inspect/memory-census.js";
export type { Pinboard, PinAnswer } from "./inspect/pinboard.js";
export type { SharedCensus } from "./inspect/shared-census.js";
export type {
  ChangeFeed,
  ChangeSink,
  ChangeTarget,
  FedEntity,
  FeedNews,
  FeedStats,
  OpenFeed,
} from "./feed/change-feed.js";
export type { FeedState } from "./feed/feeding.js";
export type { Head, LogRecord, Mark } from "./invalidation/record.js";
export type { KeyInput, Params, ParamValue, Scalar, ScopeInput, Segment } from "./keys.js";
export type {
  CompressionAlgorithm,
  CompressionOptions,
  EncryptionKey,
  EncryptionOptions,
  EntryPolicy,
  Isolation,
  HotKeyOptions,
  MemoryFactory,
  MemoryOptions,
  SharedOptions,
  StaleIfError,
  TierFactory,
  Ttl,
  TtlSchedule,
} from "./options.js";
export type { PatternInput } from "./patterns.js";
export type {
  CachedRepository,
  ManyDefinition,
  ReadDefinition,
  ReadKind,
  RepositoryControls,
  RepositoryDefinition,
  RepositoryInvalidation,
  ScopeDefinition,
  ScopedRepositoryControls,
  WriteDefinition,
  WriteKind,
} from "./repository.js";
export type { StalenessFound, StalenessOptions, StalenessStats } from "./feed/staleness-monitor.js";
export type { RowVersion, RowVersionOption, RowVersionRule } from "./row-versions.js";
export type { CacheStats, HotKeyStats, MarkCounts, ReadStats, SharedStats, ShardStats } from "./stats.js";
export type { MemoryTierStats, RemovalCause } from "./tiers/memory/memory-tier.js";
export type { CurvePoint } from "./tiers/memory/policy.js";
export type {
  InvalidationLog,
  LeaseAnswer,
  LargeValue,
  Leases,
  Listing,
  ListStep,
  LogSignal,
  ShardedTier,
  ShardedTierFactory,
  SharedPut,
  SharedRead,
  SharedStore,
  SharedTier,
  SharedTierFactory,
  StoredValue,
} from "./tiers/shared.js";
export type { Operation, OperationAnswer, Watcher } from "./watchers.js";
export type { WriteBehind, WriteOptions, Written } from "./write/behind.js";
export type { DeadLetter, DeadLetters, WriteBehindStats } from "./write/behind-lane.js";
export type { CounterOptions, FlushOptions, WriteBehindOptions } from "./write/behind-options.js";
export type { Counter, IncrementOptions } from "./write/counter.js";
export type { WhenFull } from "./write/appender.js";
export type {
  Appended,
  DeadLetterList,
  Journal,
  JournalLog,
  JournalOperation,
  JournalState,
  PendingRead,
  Rejection,
  SealedBatch,
  SealRequest,
  Settlement,
  StoredLetter,
  StoredOperation,
} from "./write/journal.js";
export type {
  ApplyChanges,
  ApplyContext,
  Change,
  CounterSink,
  FlushBatch,
  FlushOutcome,
  FlushState,
  RejectedChange,
  RowId,
  Sink,
} from "./write/sink.js";
