import type { How, PeerName, Row, WorkerSettings } from "../protocol.js";

/** What a reader brings along. */
export interface PeerRead {
  readonly load: () => Promise<Row>;
  /** How long the reader waits. A library that cannot be told lets the harness give up in its place. */
  readonly patience: number | undefined;
}

/** One open cache of one library: memory, Redis and a bus between processes. */
export interface PeerCache {
  get(key: string, read: PeerRead): Promise<Row>;
  /** Any value, as the library stores it; `load` is called on a miss. */
  value(key: string, load: () => Promise<unknown>): Promise<unknown>;
  /** Rejects when it was not delivered, as far as the library says so. */
  invalidate(how: How, target: string): Promise<void>;
  close(): Promise<void>;
}

/** The one server of a scenario that has one. @throws Error for sentinels and clusters, which only tiercache's adapter knows. */
export function oneServer({ peer, redis }: WorkerSettings): { readonly url: string; readonly busUrl: string } {
  if (redis.kind !== "server") throw new Error(`The adapter of ${peer} knows no ${redis.kind}`);
  return { url: redis.url, busUrl: redis.busUrl ?? redis.url };
}

/** One library, set up as its own documentation recommends for several processes. */
export interface Peer {
  readonly name: PeerName;
  open(settings: WorkerSettings): Promise<PeerCache>;
}
