/**
 * What Postgres's `pgoutput` plugin sends, protocol version 1 with messages (PostgreSQL documentation, "Logical Replication
 * Message Formats"). Strict: what it does not know, it refuses, because a message that is skipped is a change unseen.
 */

/** A column's value: text, null, `unchanged` (a large value that an UPDATE did not touch), or absent from the message. */
export type Cell = string | null | typeof UNCHANGED | typeof ABSENT;

/** Stored out of line and not touched by the UPDATE, hence not sent. */
export const UNCHANGED: unique symbol = Symbol("unchanged");
/** Not part of the message: the old row has only its identity. */
export const ABSENT: unique symbol = Symbol("absent");

export interface RelationColumn {
  readonly name: string;
  readonly type: number;
  /** Part of the replica identity. */
  readonly key: boolean;
}

export interface Relation {
  readonly kind: "relation";
  readonly id: number;
  readonly schema: string;
  readonly table: string;
  /** REPLICA IDENTITY: default, nothing, full, index. */
  readonly identity: "d" | "n" | "f" | "i";
  readonly columns: readonly RelationColumn[];
}

export type RowMessage = {
  readonly kind: "insert" | "update" | "delete";
  readonly relation: number;
  /** By column, decoded when asked for: most rows of a huge transaction are never looked at. */
  readonly old: (() => readonly Cell[]) | undefined;
  readonly new: (() => readonly Cell[]) | undefined;
};

export type PgOutputMessage =
  | { readonly kind: "begin"; readonly xid: number; readonly finalLsn: bigint }
  | { readonly kind: "commit"; readonly lsn: bigint; readonly endLsn: bigint }
  | Relation
  | RowMessage
  | { readonly kind: "truncate"; readonly relations: readonly number[] }
  | { readonly kind: "message"; readonly transactional: boolean; readonly prefix: string; readonly content: Uint8Array }
  /** Of no consequence here: origins, types. */
  | { readonly kind: "other" };

/** @throws RangeError for bytes that are not one whole message of the protocol. */
export function parsePgOutput(bytes: Uint8Array): PgOutputMessage {
  const reader = new Reader(bytes);
  const message = parseMessage(reader, reader.letter());
  reader.end();
  return message;
}

function parseMessage(reader: Reader, kind: string): PgOutputMessage {
  switch (kind) {
    case "B": {
      const finalLsn = reader.int64();
      reader.skip(8); // when it was committed
      return { kind: "begin", finalLsn, xid: reader.int32() };
    }
    case "C": {
      reader.skip(1); // flags, of which there are none
      const lsn = reader.int64();
      const endLsn = reader.int64();
      reader.skip(8);
      return { kind: "commit", lsn, endLsn };
    }
    case "R":
      return parseRelation(reader);
    case "I": {
      const relation = reader.int32();
      reader.expect("N");
      return { kind: "insert", relation, old: undefined, new: parseTuple(reader, false) };
    }
    case "U":
      return parseUpdate(reader);
    case "D": {
      const relation = reader.int32();
      const part = reader.expect("K", "O");
      return { kind: "delete", relation, old: parseTuple(reader, part === "K"), new: undefined };
    }
    case "T": {
      const count = reader.int32();
      reader.skip(1); // CASCADE, RESTART IDENTITY
      return { kind: "truncate", relations: Array.from({ length: count }, () => reader.int32()) };
    }
    case "M": {
      const transactional = (reader.int8() & 1) === 1;
      reader.skip(8);
      const prefix = reader.text();
      return { kind: "message", transactional, prefix, content: reader.bytes(reader.int32()) };
    }
    case "O":
    case "Y":
      reader.rest();
      return { kind: "other" };
    default:
      throw new RangeError(`Unknown message ${JSON.stringify(kind)} of the log`);
  }
}

function parseRelation(reader: Reader): Relation {
  const id = reader.int32();
  const schema = reader.text();
  const table = reader.text();
  const identity = reader.expect("d", "n", "f", "i");
  const columns = Array.from({ length: reader.int16() }, (): RelationColumn => {
    const key = (reader.int8() & 1) === 1;
    const name = reader.text();
    const type = reader.int32();
    reader.skip(4); // its modifier
    return { name, type, key };
  });
  // The empty name is the system's own schema.
  return { kind: "relation", id, schema: schema === "" ? "pg_catalog" : schema, table, identity, columns };
}

function parseUpdate(reader: Reader): RowMessage {
  const relation = reader.int32();
  const part = reader.expect("K", "O", "N");
  if (part === "N") return { kind: "update", relation, old: undefined, new: parseTuple(reader, false) };
  const old = parseTuple(reader, part === "K");
  reader.expect("N");
  return { kind: "update", relation, old, new: parseTuple(reader, false) };
}

/** Finds a row's end now, and its values when they are asked for. @param keyOnly what is not part of the identity is sent as null. */
function parseTuple(reader: Reader, keyOnly: boolean): () => readonly Cell[] {
  const start = reader.at;
  for (let left = reader.int16(); left > 0; left--) {
    const form = reader.expect("n", "u", "t");
    if (form === "t") reader.skip(reader.int32());
  }
  const tuple = reader.since(start);
  return () => readTuple(new Reader(tuple), keyOnly);
}

function readTuple(reader: Reader, keyOnly: boolean): readonly Cell[] {
  return Array.from({ length: reader.int16() }, (): Cell => {
    const form = reader.expect("n", "u", "t");
    if (form === "n") return keyOnly ? ABSENT : null;
    return form === "u" ? UNCHANGED : reader.string(reader.int32());
  });
}

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads within its bytes, or throws. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  int8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  int16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  int32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  int64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  letter(): string {
    return String.fromCharCode(this.int8());
  }

  expect<L extends string>(...letters: readonly L[]): L {
    const letter = this.letter();
    const found = letters.find((one) => one === letter);
    if (found === undefined) throw new RangeError(`Expected ${letters.join(" or ")} in the log, got ${letter}`);
    return found;
  }

  /** Up to a zero byte. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end === -1) throw new RangeError("A text in the log has no end");
    const text = UTF8.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  string(length: number): string {
    return UTF8.decode(this.bytes(length));
  }

  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#at);
  }

  skip(length: number): void {
    this.#advance(length);
  }

  rest(): void {
    this.#at = this.#bytes.length;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError("A message of the log is longer than it should be");
  }

  #advance(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new RangeError("A message of the log ends early");
    this.#at = start + length;
    return start;
  }
}
