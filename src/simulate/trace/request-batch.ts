/** What a request does: reads the key (and stores it after a miss), writes it, or removes it. */
export type Operation = 0 | 1 | 2;
export const GET: Operation = 0;
export const SET: Operation = 1;
export const DELETE: Operation = 2;

/** One request of a trace. */
export interface TraceRequest {
  readonly key: string | number;
  readonly operation: Operation;
  /** Bytes; `undefined` when the trace does not say. */
  readonly size?: number | undefined;
  /** Milliseconds; `undefined` when the trace does not say. */
  readonly time?: number | undefined;
  /** Milliseconds to live; `undefined` for none. */
  readonly ttl?: number | undefined;
  readonly client?: string | undefined;
}

/** No client is named. */
export const NO_CLIENT = -1;

/** Requests in arrays, one element each: what the reader hands on at a time. */
export class RequestBatch {
  length = 0;
  ids: Int32Array = new Int32Array(1024);
  operations: Uint8Array = new Uint8Array(1024);
  /** Bytes; NaN when not known. */
  sizes: Float64Array = new Float64Array(1024);
  /** Milliseconds; NaN when not known. */
  times: Float64Array = new Float64Array(1024);
  /** Milliseconds; Infinity for none. */
  ttls: Float64Array = new Float64Array(1024);
  /** Dense ids of the clients, or `NO_CLIENT`. */
  clients: Int32Array = new Int32Array(1024);

  add(id: number, client: number, request: TraceRequest): void {
    const at = this.length;
    if (at === this.ids.length) this.#grow();
    this.ids[at] = id;
    this.operations[at] = request.operation;
    this.sizes[at] = request.size ?? Number.NaN;
    this.times[at] = request.time ?? Number.NaN;
    this.ttls[at] = request.ttl ?? Number.POSITIVE_INFINITY;
    this.clients[at] = client;
    this.length = at + 1;
  }

  /** Appends a request of another batch. */
  copy(from: RequestBatch, i: number): void {
    const at = this.length;
    if (at === this.ids.length) this.#grow();
    this.ids[at] = from.ids[i] as number;
    this.operations[at] = from.operations[i] as number;
    this.sizes[at] = from.sizes[i] as number;
    this.times[at] = from.times[i] as number;
    this.ttls[at] = from.ttls[i] as number;
    this.clients[at] = from.clients[i] as number;
    this.length = at + 1;
  }

  #grow(): void {
    const room = 2 * this.ids.length;
    this.ids = copied(new Int32Array(room), this.ids);
    this.operations = copied(new Uint8Array(room), this.operations);
    this.sizes = copied(new Float64Array(room), this.sizes);
    this.times = copied(new Float64Array(room), this.times);
    this.ttls = copied(new Float64Array(room), this.ttls);
    this.clients = copied(new Int32Array(room), this.clients);
  }
}

function copied<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from);
  return to;
}
