import { setup } from "../support/redis-server.js";
import type { Figures } from "./figures.js";
import { PEERS, type PeerName } from "./protocol.js";
import { runScenario } from "./scenario.js";
import { SCENARIOS } from "./scenarios/index.js";
import { Workers } from "./workers.js";

/*
 * npm run faults -- [--peer tiercache|bentocache|cacheable|layered-loader|all] [--only name,name] [--small] [--json]
 *
 * Runs every scenario in full size, and says what each came to. Exits with 1 when tiercache broke a rule.
 */

interface Arguments {
  readonly peers: readonly PeerName[];
  readonly only: readonly string[];
  readonly size: "small" | "full";
  readonly json: boolean;
}

const wanted = argumentsOf(process.argv.slice(2));
// Servers and workers end with this process, and its ending by a signal is one like any other.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
setup();
const workers = new Workers();
const figures: Figures[] = [];
try {
  for (const peer of wanted.peers) {
    for (const scenario of SCENARIOS) {
      if (wanted.only.length > 0 && !wanted.only.some((name) => scenario.name.startsWith(name))) continue;
      const result = await runScenario(scenario, peer, wanted.size, workers);
      figures.push(result);
      // With --json, standard output is one document.
      if (wanted.json) console.error(lines(result));
      else console.log(lines(result));
    }
  }
} finally {
  await workers.close();
}
if (wanted.json) console.log(JSON.stringify(figures, undefined, 2));
process.exitCode = figures.some((result) => result.peer === "tiercache" && !result.ok) ? 1 : 0;

function lines({ scenario, peer, ok, why, slow, unsupported, more, ...rest }: Figures): string {
  const head = `${peer.padEnd(15)} ${scenario.padEnd(20)}`;
  if (unsupported !== undefined) return `${head} not supported: ${unsupported}`;
  const numbers = [...Object.entries(rest), ...Object.entries(more ?? {})]
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${String(value)}`);
  const told = [...why.map((rule) => `    broken: ${rule}`), ...slow.map((rule) => `    slow: ${rule}`)];
  return [`${head} ${ok ? "ok    " : "BROKEN"} ${numbers.join(", ")}`, ...told].join("\n");
}

function argumentsOf(given: readonly string[]): Arguments {
  const after = (name: string): string | undefined => {
    const at = given.indexOf(name);
    return at === -1 ? undefined : given[at + 1];
  };
  const peer = after("--peer") ?? "tiercache";
  const peers = peer === "all" ? PEERS : PEERS.filter((name) => name === peer);
  if (peers.length === 0) throw new Error(`Expected --peer to be one of ${PEERS.join(", ")}, all; got ${peer}`);
  return {
    peers,
    only: after("--only")?.split(",") ?? [],
    size: given.includes("--small") ? "small" : "full",
    json: given.includes("--json"),
  };
}
