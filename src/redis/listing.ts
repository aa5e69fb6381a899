import type { Listing, ListStep } from "../tiers/shared.js";
import type { Connection } from "./connection.js";
import type { Layout } from "./layout.js";
import { LIST } from "./scripts.js";
import { textOf } from "./wire.js";

/** Most entries one step looks at: the server answers nobody else meanwhile. */
const MOST = 1_000;
/** What SCAN would take for more than itself. */
const GLOB = /[[\]*?\\]/g;

/** One step of SCAN over the entries of a cache; in a cluster, over what the master of the shard's slot has. */
export async function listKeys(connection: Connection, layout: Layout, step: ListStep): Promise<Listing> {
  const { beginning, cursor = "0" } = step;
  const count = Math.max(1, Math.min(MOST, Math.round(step.count)));
  const [next, keys] = (await connection.run(
    LIST,
    [layout.head],
    [cursor, matchOf(beginning), String(count)],
  )) as readonly [unknown, unknown];
  const after = textOf(next);
  return {
    keys: Array.isArray(keys) ? keys.map(textOf) : [],
    cursor: after === "0" ? undefined : after,
  };
}

/** What follows the cache's name in an entry's key: ":" and a path, or a path of a namespace, which begins with "/". */
function matchOf(beginning: string): string {
  const escaped = beginning.replace(GLOB, String.raw`\$&`);
  if (beginning === "") return "[:/]*";
  return beginning.startsWith("/") ? `${escaped}*` : `:${escaped}*`;
}
