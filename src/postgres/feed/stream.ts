import type { Clock } from "../../clock.js";
import { literal, identifier, type PgClient, type PgConnect } from "../pg.js";
import { endClient, openClient } from "./database.js";
import { parseReplicationMessage, statusUpdate, type ReplicationMessage } from "./replication-message.js";
import { within } from "./within.js";

export interface StreamOptions {
  readonly connect: PgConnect;
  readonly clock: Clock;
  readonly slot: string;
  readonly publication: string;
  /** After how long without a word of ours the server takes us for dead and frees the slot, in milliseconds. */
  readonly patience: number;
  readonly onMessage: (message: ReplicationMessage) => void;
}

/** A slot's changes, as they come. Whoever has it is the only one: the slot is the lock. */
export class ReplicationStream {
  readonly #client: PgClient;
  readonly #clock: Clock;
  readonly #ended: Promise<unknown>;
  #over = false;

  private constructor(client: PgClient, clock: Clock, ended: Promise<unknown>) {
    this.#client = client;
    this.#clock = clock;
    this.#ended = ended;
  }

  /** @throws what the server says: `55006` when another process has the slot. */
  static async open(options: StreamOptions): Promise<ReplicationStream> {
    const { clock, patience } = options;
    const client = await openClient(options.connect, clock, patience, {
      replication: "database",
      application_name: `tiercache ${options.slot}`,
      // Waiting for the next change is no query that takes too long.
      query_timeout: undefined,
    });
    try {
      await within(clock, patience, "A setting", client.query(`SET wal_sender_timeout = ${Math.ceil(patience)}`));
      return await ReplicationStream.#start(client, options);
    } catch (error) {
      client.connection.stream.destroy();
      throw error;
    }
  }

  static async #start(client: PgClient, options: StreamOptions): Promise<ReplicationStream> {
    const { clock, slot, publication, patience } = options;
    const { connection } = client;
    const refused = new Promise<unknown>((resolve) => {
      connection.on("copyData", ({ chunk }) => {
        try {
          options.onMessage(parseReplicationMessage(chunk));
        } catch (error) {
          // What comes after a message that was not understood means nothing.
          connection.stream.destroy();
          resolve(error);
        }
      });
    });
    const gone = new Promise<unknown>((resolve) => {
      client.on("error", resolve);
      connection.on("end", () => resolve(new Error("The server closed the replication connection")));
    });
    const started = new Promise<void>((resolve) => connection.on("replicationStart", resolve));
    const over = client
      .query(
        `START_REPLICATION SLOT ${identifier(slot)} LOGICAL 0/0 ` +
          `(proto_version '1', publication_names ${literal(identifier(publication))}, messages 'true')`,
      )
      .then(
        () => new Error("The server ended the stream"),
        (error: unknown) => error,
      );
    const ended = Promise.race([refused, over, gone]);
    const stream = new ReplicationStream(client, clock, ended);
    const early = ended.then((error) => {
      stream.#over = true;
      throw error;
    });
    await within(clock, patience, "Starting the replication", Promise.race([started, early]));
    // From here on it is `ended` that tells.
    early.catch(() => undefined);
    return stream;
  }

  /** Resolves with why, when it has ended. */
  get ended(): Promise<unknown> {
    return this.#ended;
  }

  /** Says that what committed before `lsn` is done with; with `reply`, asks how far the server has read. */
  status(lsn: bigint, reply: boolean): void {
    // `pg` copies with a method that only its own kind of bytes has.
    if (!this.#over)
      this.#client.connection.sendCopyFromChunk(Buffer.from(statusUpdate(lsn, reply, this.#clock.wall())));
  }

  pause(): void {
    this.#client.connection.stream.pause();
  }

  resume(): void {
    this.#client.connection.stream.resume();
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#client.connection.stream.resume();
    await endClient(this.#client, this.#clock);
  }
}
