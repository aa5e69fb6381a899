import { mix, seededRandom } from "./mix.js";
import { NO_CLIENT } from "./trace/request-batch.js";

/** How a load balancer chooses the process: by chance, by client, or by key. */
export type Balance = "random" | "sticky" | "hash";

export const BALANCES: readonly Balance[] = ["random", "sticky", "hash"];

/** Clients made up for a trace that names none. */
const SYNTHETIC_CLIENTS = 10_000;

/** Which process gets a request, from 0 to `processes` - 1. */
export type Balancer = (id: number, client: number) => number;

/**
 * A load balancer.
 *
 * `"sticky"` sends a client to the same process always; where the trace names no client, one of ten thousand is made
 * up by chance for each request. `"hash"` sends a key to the same process always, by consistent hashing.
 */
export function createBalancer(balance: Balance, processes: number, seed: number): Balancer {
  const random = seededRandom(seed);
  const anyone = (count: number): number => Math.floor(random() * count);
  switch (balance) {
    case "random":
      return () => anyone(processes);
    case "sticky":
      return (_, client) => rendezvous(client === NO_CLIENT ? anyone(SYNTHETIC_CLIENTS) : client, processes, seed);
    case "hash":
      return (id) => rendezvous(id, processes, seed);
  }
}

/** Rendezvous hashing (Thaler, Ravishankar 1998): the process whose hash with the id is the highest. */
function rendezvous(id: number, processes: number, seed: number): number {
  const hash = mix(id ^ mix(seed));
  let chosen = 0;
  let highest = -1;
  for (let process = 0; process < processes; process += 1) {
    const weight = mix(hash ^ mix(process + 1));
    if (weight > highest) {
      highest = weight;
      chosen = process;
    }
  }
  return chosen;
}
