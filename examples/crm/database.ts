import pg from "pg";

/** A pool of connections that counts its statements: each is work for the database that the cache did not spare it. */
export interface Database {
  /** Where it is, with the password: for connections of another kind. */
  readonly url: string;
  /** Where the tables are; `undefined`: the server's search path says. */
  readonly schema: string | undefined;
  readonly statements: number;
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** @param schema where the tables are; the server's search path, if none is given. */
export function openDatabase(url: string, schema?: string): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: 8,
    ...(schema === undefined ? {} : { options: `-c search_path=${schema}` }),
    types: { getTypeParser: parserOf },
  });
  // An idle connection that breaks: the pool drops it, and the next statement says what is wrong.
  pool.on("error", () => undefined);
  let statements = 0;
  return {
    url,
    schema,
    get statements() {
      return statements;
    },
    async query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      statements += 1;
      return (await pool.query<Row>(text, [...values])).rows;
    },
    close: () => pool.end(),
  };
}

/** 8-byte integers as bigints: exact, where the driver's own choice is text. */
function parserOf(
  type: (typeof pg.types.builtins)[keyof typeof pg.types.builtins],
  format?: "text" | "binary",
): (value: string) => unknown {
  if (type === pg.types.builtins.INT8) return BigInt;
  return pg.types.getTypeParser(type, format) as (value: string) => unknown;
}

const TABLES = `
  create table if not exists users (
    tenant text not null, id int not null, name text not null, role text not null, primary key (tenant, id));
  create table if not exists contacts (
    tenant text not null, id int not null, name text not null, email text, created_at timestamptz not null default now(),
    fields jsonb not null default '{}', photo bytea, primary key (tenant, id));
  create table if not exists categories (
    tenant text not null, id int not null, name text not null, primary key (tenant, id));
  create table if not exists products (
    tenant text not null, id int not null, category_id int not null, name text not null, price int not null, primary key (tenant, id),
    foreign key (tenant, category_id) references categories (tenant, id));
  create table if not exists deals (
    tenant text not null, id int not null, contact_id int not null, product_id int not null, stage text not null, amount bigint not null,
    primary key (tenant, id), foreign key (tenant, contact_id) references contacts (tenant, id) on delete cascade);
  create table if not exists settings (
    tenant text not null, name text not null, value jsonb not null, primary key (tenant, name));
`;

export async function createTables(database: Database): Promise<void> {
  await database.query(TABLES);
}

/** A small company for the tenant: 2 users, 20 contacts, 4 categories, 12 products, 40 deals, 3 settings. */
export async function createTenant(database: Database, tenant: string): Promise<void> {
  const statements = [
    `insert into users select $1, n, 'User ' || n || ' of ' || $1, case n when 1 then 'owner' else 'sales' end from generate_series(1, 2) n`,
    `insert into contacts (tenant, id, name, email, fields)
       select $1, n, 'Contact ' || n || ' of ' || $1, 'c' || n || '@example.com', jsonb_build_object('score', n) from generate_series(1, 20) n`,
    `insert into categories select $1, n, 'Category ' || n || ' of ' || $1 from generate_series(1, 4) n`,
    `insert into products select $1, n, 1 + n % 4, 'Product ' || n || ' of ' || $1, n * 1000 from generate_series(1, 12) n`,
    `insert into deals select $1, n, 1 + n % 20, 1 + n % 12, (array['lead', 'offer', 'won', 'lost'])[1 + n % 4], n * 100 from generate_series(1, 40) n`,
    `insert into settings values ($1, 'theme', '"light"'), ($1, 'currency', '"EUR"'), ($1, 'stages', '["lead", "offer", "won", "lost"]')`,
  ];
  for (const statement of statements) await database.query(statement, [tenant]);
}
