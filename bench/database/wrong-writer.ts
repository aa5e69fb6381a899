import pg from "pg";

import { connectRedis, drizzledRows } from "./drizzle-cache.js";

const WRITERS = 3;

/** A service that writes, in a process of its own: for so many milliseconds at a time, when it is told to. */
const [url = "", table = "", redisUrl = "", rows = ""] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: WRITERS });
const client = redisUrl === "" ? undefined : await connectRedis(redisUrl);
const drizzled = client && drizzledRows(pool, client);

async function write(): Promise<void> {
  const id = 1 + Math.floor(Math.random() * Number(rows));
  if (drizzled === undefined) await pool.query(`UPDATE ${table} SET version = version + 1 WHERE id = $1`, [id]);
  else await drizzled.bump(id);
}

process.on("message", (milliseconds: number) => {
  const end = performance.now() + milliseconds;
  let writes = 0;
  const writer = async (): Promise<void> => {
    while (performance.now() < end) {
      await write();
      writes += 1;
    }
  };
  Promise.all(Array.from({ length: WRITERS }, writer)).then(
    () => process.send?.(writes),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
