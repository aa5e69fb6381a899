import type { ChangeTarget, FeedNews } from "../../feed/change-feed.js";
import type { Mapping, Mappings } from "../mapping.js";
import { Outdated, UnknownScope, type Refusal } from "./outdated.js";
import { parsePgOutput, type PgOutputMessage, type Relation, type RowMessage } from "./pgoutput.js";
import { changeOf, UnknownColumn, type ParseCell } from "./rows.js";

/** A transaction, in the order of commits. */
export interface Committed {
  /** The low 32 bits of its id; `undefined` for a message that belongs to none. */
  readonly xid: number | undefined;
  /** What is acknowledged once it is published. */
  readonly endLsn: bigint;
  readonly outdated: Outdated;
}

/** What messages of `pg_logical_emit_message` mean, by their prefix. */
export type MessageHandlers = ReadonlyMap<string, (content: string) => readonly ChangeTarget[]>;

/** Emitted by processes of this cache that wait for the feed; tells the one that reads it. */
export const WAKE_PREFIX = "tiercache";

interface Known {
  readonly relation: Relation;
  readonly mappings: readonly Mapping[];
  /** Of the mappings: more may be registered later. */
  readonly version: number;
}

interface Open {
  readonly xid: number;
  readonly outdated: Outdated;
  /** Rows so far, by mapping. */
  readonly rows: Map<Mapping, number>;
}

/** Reads the log's messages and says of each transaction what it makes outdated. Holds nothing of the rows themselves. */
export class TransactionReader {
  readonly #mappings: Mappings;
  readonly #handlers: MessageHandlers;
  readonly #collapseAt: number;
  readonly #parse: ParseCell;
  readonly #tell: (news: FeedNews) => void;
  readonly #onWake: () => void;
  readonly #relations = new Map<number, Known>();
  #open: Open | undefined;
  /** Rows seen, for statistics. */
  rows = 0;

  constructor(parts: {
    mappings: Mappings;
    handlers: MessageHandlers;
    /** Rows of a table in one transaction from which on all that belongs to the table is outdated. */
    collapseAt: number;
    parse: ParseCell;
    tell: (news: FeedNews) => void;
    onWake: () => void;
  }) {
    this.#mappings = parts.mappings;
    this.#handlers = parts.handlers;
    this.#collapseAt = parts.collapseAt;
    this.#parse = parts.parse;
    this.#tell = parts.tell;
    this.#onWake = parts.onWake;
  }

  /**
   * Takes the next message. @returns the transaction it ends.
   *
   * @throws RangeError for what is not a message, or not where it should be.
   */
  read(data: Uint8Array): Committed | undefined {
    const message = parsePgOutput(data);
    switch (message.kind) {
      case "begin":
        if (this.#open !== undefined) throw new RangeError("A transaction of the log begins inside another");
        this.#open = { xid: message.xid, outdated: new Outdated(), rows: new Map() };
        return undefined;
      case "commit": {
        const { xid, outdated } = this.#inTransaction();
        this.#open = undefined;
        return { xid, endLsn: message.endLsn, outdated };
      }
      case "relation":
        this.#know(message);
        return undefined;
      case "insert":
      case "update":
      case "delete":
        this.#row(message);
        return undefined;
      case "truncate":
        for (const id of message.relations) this.#whole(id);
        return undefined;
      case "message":
        return this.#message(message);
      case "other":
        return undefined;
    }
  }

  #inTransaction(): Open {
    if (this.#open === undefined) throw new RangeError("A change of the log is in no transaction");
    return this.#open;
  }

  #know(relation: Relation): void {
    const before = this.#relations.get(relation.id)?.relation;
    const known = { relation, mappings: this.#mappings.of(relation), version: this.#mappings.version };
    this.#relations.set(relation.id, known);
    // A column that came, went or changed its type did so in every row, and no row says it.
    if (before !== undefined && shapeOf(before) !== shapeOf(relation))
      for (const mapping of known.mappings) this.#open?.outdated.addWhole(mapping);
  }

  #known(id: number): Known | undefined {
    const known = this.#relations.get(id);
    if (known === undefined || known.version === this.#mappings.version) return known;
    const mappings = this.#mappings.of(known.relation);
    const renewed = { relation: known.relation, mappings, version: this.#mappings.version };
    this.#relations.set(id, renewed);
    return renewed;
  }

  #row(message: RowMessage): void {
    const { outdated, rows } = this.#inTransaction();
    const known = this.#known(message.relation);
    if (known === undefined) return this.#unknown();
    for (const mapping of known.mappings) {
      if (outdated.isWhole(mapping)) continue;
      const count = (rows.get(mapping) ?? 0) + 1;
      rows.set(mapping, count);
      this.rows += 1;
      if (count > this.#collapseAt) {
        outdated.addWhole(mapping);
        this.#tell({ what: "collapsed", detail: { table: mapping.name, rows: count } });
        continue;
      }
      const change = changeOf(known.relation, message, mapping.fixed, this.#parse);
      const refusal = outdated.addChange(mapping, change);
      if (refusal !== undefined) this.#tell(newsOf(refusal));
    }
  }

  #whole(id: number): void {
    const { outdated } = this.#inTransaction();
    const known = this.#known(id);
    if (known === undefined) return this.#unknown();
    for (const mapping of known.mappings) outdated.addWhole(mapping);
  }

  /** The server says what a relation is before it says what happened to it. */
  #unknown(): void {
    this.#inTransaction().outdated.addTargets([{ all: true }]);
    this.#tell({ what: "unknown-relation" });
  }

  #message(message: Extract<PgOutputMessage, { kind: "message" }>): Committed | undefined {
    if (message.prefix === WAKE_PREFIX) this.#onWake();
    const handler = this.#handlers.get(message.prefix);
    if (handler === undefined) return undefined;
    const outdated = message.transactional ? this.#inTransaction().outdated : new Outdated();
    try {
      outdated.addTargets(handler(new TextDecoder().decode(message.content)));
    } catch (error) {
      outdated.addTargets([{ all: true }]);
      this.#tell({ what: "mapping-failed", detail: { message: message.prefix }, error });
    }
    return message.transactional ? undefined : { xid: undefined, endLsn: 0n, outdated };
  }
}

function shapeOf({ columns, identity }: Relation): string {
  return JSON.stringify([identity, columns.map(({ name, type, key }) => [name, type, key])]);
}

function newsOf({ mapping, error }: Refusal): FeedNews {
  if (error instanceof UnknownColumn)
    return { what: "row-incomplete", detail: { table: mapping.name, column: error.column } };
  if (error instanceof UnknownScope) return { what: "row-incomplete", detail: { table: mapping.name } };
  return { what: "mapping-failed", detail: { table: mapping.name }, error };
}
