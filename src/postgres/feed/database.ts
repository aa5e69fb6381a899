import type { Clock } from "../../clock.js";
import { clientConfig, loadPg, resultsOf, type PgClient, type PgConnect, type PgLike, type PgRow } from "../pg.js";
import { within } from "./within.js";

/**
 * The feed's own queries: on the pool it was given, or on one connection, made when it is needed and anew when it is lost.
 * Each is bounded; one that takes too long takes its connection with it, for nobody knows what it is doing.
 */
export class Database {
  readonly #connect: PgConnect;
  readonly #pool: PgLike | undefined;
  readonly #clock: Clock;
  readonly #bound: number;
  #client: Promise<PgClient> | undefined;
  /** A connection has one query at a time. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #names = new Map<string, string>();
  #closed = false;

  constructor(parts: {
    readonly connect: PgConnect;
    readonly pool: PgLike | undefined;
    readonly clock: Clock;
    /** Longest a query may take, in milliseconds. */
    readonly bound: number;
  }) {
    this.#connect = parts.connect;
    this.#pool = parts.pool;
    this.#clock = parts.clock;
    this.#bound = parts.bound;
  }

  /** The rows of one statement; on a connection of ours it is planned once. */
  async query(text: string, values: readonly unknown[] = []): Promise<readonly PgRow[]> {
    const given = [...values];
    const answer =
      this.#pool === undefined
        ? this.#onOwn((client) => client.query({ name: this.#nameOf(text), text, values: given }))
        : this.#bounded(this.#pool.query(text, given));
    return resultsOf(await answer).at(-1) ?? [];
  }

  /** The rows of each of several statements. */
  async statements(...texts: readonly string[]): Promise<readonly (readonly PgRow[])[]> {
    const text = texts.join(";\n");
    const answer =
      this.#pool === undefined ? this.#onOwn((client) => client.query(text)) : this.#bounded(this.#pool.query(text));
    return resultsOf(await answer);
  }

  /** A connection of its own, for what waits long or holds a lock. The caller ends it. */
  session(applicationName: string): Promise<PgClient> {
    return openClient(this.#connect, this.#clock, this.#bound, { application_name: applicationName });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = undefined;
    await client?.then(
      (open) => endClient(open, this.#clock),
      () => undefined, // It never stood: there is nothing to end.
    );
  }

  #onOwn(ask: (client: PgClient) => Promise<unknown>): Promise<unknown> {
    const answer = this.#last.then(async () => {
      const client = await this.#own();
      try {
        return await this.#bounded(ask(client));
      } catch (error) {
        if (isLost(error)) this.#drop(client);
        throw error;
      }
    });
    // The next one's turn comes whatever became of this one, whose caller hears of it.
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  #bounded(answer: Promise<unknown>): Promise<unknown> {
    return within(this.#clock, this.#bound, "A query of the feed", answer);
  }

  /** The feed has a handful of statements, whose text never changes. */
  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `tiercache_feed_${this.#names.size}`;
      this.#names.set(text, name);
    }
    return name;
  }

  #own(): Promise<PgClient> {
    if (this.#closed) throw new Error("The feed is closed");
    if (this.#client === undefined) {
      const opening = openClient(this.#connect, this.#clock, this.#bound, { application_name: "tiercache feed" });
      this.#client = opening;
      opening.then(
        (client) =>
          client.on("error", () => {
            if (this.#client === opening) this.#client = undefined;
          }),
        () => {
          if (this.#client === opening) this.#client = undefined;
        },
      );
    }
    return this.#client;
  }

  #drop(client: PgClient): void {
    this.#client = undefined;
    client.connection.stream.destroy();
  }
}

/** Anything but an answer of the server: the connection may be in any state. */
function isLost(error: unknown): boolean {
  return !(typeof error === "object" && error !== null && "severity" in error && error.severity === "ERROR");
}

/** A connection. Its errors are heard, so that none is thrown at the process. */
export async function openClient(
  connect: PgConnect,
  clock: Clock,
  bound: number,
  ours: Readonly<Record<string, unknown>>,
): Promise<PgClient> {
  const { Client } = await loadPg();
  const client = new Client(clientConfig(connect, ours));
  client.on("error", () => undefined);
  try {
    await within(clock, bound, "Connecting to the database", client.connect());
    return client;
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  }
}

/** Ends a connection in order, and if it does not listen, at once. */
export async function endClient(client: PgClient, clock: Clock): Promise<void> {
  try {
    await within(clock, 1_000, "Ending a connection", client.end());
  } catch {
    client.connection.stream.destroy();
  }
}
