import type { NodeRedis } from "../core/rooms.js";

/** Microseconds of the server's CPU for one operation, user and system: its commands, its sockets and the kernel's part. */
export async function serverMicros(
  client: NodeRedis,
  operations: number,
  run: (operations: number) => Promise<void>,
): Promise<number> {
  const before = await used(client);
  await run(operations);
  return Math.round((((await used(client)) - before) / operations) * 10) / 10;
}

async function used(client: NodeRedis): Promise<number> {
  const text = await client.info("cpu");
  const seconds = ["used_cpu_user", "used_cpu_sys"].map((name) => new RegExp(`${name}:([\\d.]+)`).exec(text)?.[1]);
  return seconds.reduce((sum, one) => sum + Number(one ?? Number.NaN), 0) * 1e6;
}
