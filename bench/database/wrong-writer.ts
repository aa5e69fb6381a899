import pg from "pg";

import { cachedRows, type Library, type Writing } from "./cached-rows.js";

/** A service that writes, in a process of its own: a burst each time it is told to. */
const writing = JSON.parse(process.argv[2] ?? "") as Writing;
const { url, table, column, rows, writers, writes } = writing;
const pool = new pg.Pool({ connectionString: url, max: writers.length });
// The database may be stopped before it hears that it is let go.
pool.on("error", () => undefined);
const bumps = new Map<Library, (id: number) => Promise<unknown>>();
bumps.set("sql", (id) => pool.query(`UPDATE ${table} SET ${column} = ${column} + 1 WHERE id = $1`, [id]));
for (const library of new Set(writers)) if (library !== "sql") bumps.set(library, await bumpOf(library));

async function bumpOf(library: Exclude<Library, "sql">): Promise<(id: number) => Promise<void>> {
  const cached = await cachedRows(library, pool, writing);
  return (id) => cached.bump(id);
}

process.on("message", () => {
  const writer = async (from: number): Promise<void> => {
    for (let written = 0; written < writes; written += 1) {
      const library = writers[(from + written) % writers.length] ?? "sql";
      await bumps.get(library)?.(1 + Math.floor(Math.random() * rows));
    }
  };
  Promise.all(writers.map((_, from) => writer(from))).then(
    () => process.send?.(writers.length * writes),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
