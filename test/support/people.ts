import type { Pool } from "pg";

/** A table of rows with a version, a value of each common type, and a constraint that poison breaks. */
export async function createPeople(pool: Pool): Promise<void> {
  await pool.query("DROP TABLE IF EXISTS people");
  await pool.query(
    "CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'poison'), email text UNIQUE, " +
      "born date, data jsonb, photo bytea, score float8, tags text[], version bigint NOT NULL DEFAULT 1)",
  );
}
