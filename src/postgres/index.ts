export { postgresFeed } from "./feed.js";
export { materializedViews } from "./views/views.js";
export { postgresCounts } from "./sink-counts.js";
export { postgresSink } from "./sink.js";
export { cachedClient, cachedPool } from "./queries-pg.js";
export { tableTag } from "./queries.js";
export { inTransaction, transactional } from "./transactional.js";

export type {
  CachedClient,
  CachedPool,
  CachedQueries,
  CachedQueryConfig,
  CachedResult,
  PgQueryable,
  PgQueryPool,
} from "./queries-pg.js";
export type { CachedQuery, QueryCacheOptions, QueryProblem } from "./queries.js";
export type { TransactionalCache } from "./transactional.js";
export type { Transaction, Transactions } from "./transaction.js";
export type { PostgresFeed, PostgresFeedOptions, PostgresFeedStatus } from "./feed.js";
export type { ReplicaClient, ReplicaOptions, ReplicaPool, ReplicaReads } from "./feed/replica.js";
export type { RowListener } from "./feed/row-listeners.js";
export type { SetupProblem } from "./feed/setup.js";
export type { RowChange, TableMapping } from "./mapping.js";
export type { PgConnect, PgLike } from "./pg.js";
export type { PostgresCountsOptions } from "./sink-counts.js";
export type { SinkClient, SinkPool } from "./sink-transaction.js";
export type { PostgresSink, PostgresSinkOptions, RowConflict } from "./sink.js";
export type { DirtyKeys, RefreshPolicy, RowChange as ViewRowChange, ViewDefinition } from "./views/view-definition.js";
export type { RefreshOutcome, ViewClient, ViewPool, ViewState } from "./views/view-database.js";
export type { ChangedRows, MaterializedViews, ViewEvent, ViewRead, ViewsOptions } from "./views/views.js";
