import { afterAll, beforeAll } from "vitest";

import { startSource, type Source } from "../support/postgres-source.js";

/** One database for all tests of a file, from before the first of them. */
export function onePostgres(connections: number): Pick<Source, "server" | "pool"> {
  const made: { server: Source["server"]; pool: Source["pool"] } = Object.create(null) as never;
  let source: Source | undefined;
  beforeAll(async () => {
    source = await startSource({ connections });
    Object.assign(made, { server: source.server, pool: source.pool });
  });
  afterAll(() => source?.close());
  return made;
}
