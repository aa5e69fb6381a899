import pg from "pg";

/** A pool of connections that counts what it is asked: the load on the source. */
export interface Database {
  /** Where it is, with the password: for connections of another kind. */
  readonly url: string;
  /** The schema the tables are in; `undefined`: the server's search path says. */
  readonly schema: string | undefined;
  /** The connections themselves. What is asked through them is not counted. */
  readonly pool: pg.Pool;
  /** Statements sent since it was opened. */
  readonly queries: number;
  /** Runs one statement; it is prepared once per connection. */
  query<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]>;
  /** Runs one or more statements without parameters. */
  run(text: string): Promise<void>;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Most connections. @default 10 */
  connections?: number | undefined;
  /** The schema the tables are in. @default the server's search path */
  schema?: string | undefined;
}

/** Connects when first asked. Each query rejects with whatever `pg` rejects with. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.connections ?? 10,
    ...(options.schema === undefined ? {} : { options: `-c search_path=${options.schema}` }),
  });
  // An idle connection that breaks: the pool drops it, and the next query says what is wrong.
  pool.on("error", () => undefined);
  const names = new Map<string, string>();
  let queries = 0;

  const nameOf = (text: string): string => {
    let name = names.get(text);
    if (name === undefined) {
      name = `tracker_${names.size}`;
      names.set(text, name);
    }
    return name;
  };

  return {
    url,
    schema: options.schema,
    pool,
    get queries() {
      return queries;
    },
    async query<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
      queries += 1;
      const result = await pool.query<Row>({ name: nameOf(text), text, values: [...values] });
      return result.rows;
    },
    async run(text) {
      queries += 1;
      await pool.query(text);
    },
    close: () => pool.end(),
  };
}
