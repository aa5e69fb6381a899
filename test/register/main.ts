import { setup } from "../support/redis-server.js";
import type { Variant } from "./protocol.js";
import { runRegister } from "./register.js";

/*
 * npm run register -- [--seconds 60] [--bound 1000] [--burst 400] [--seed 1] [--variant whole|at-once|no-bound]
 *   [--method replication|outbox] [--only name,name] [--log]
 *
 * The register test, for as long as one likes. Exits with 1 when a read was staler than B, or an entry wrong after quiet.
 */

const given = process.argv.slice(2);
const after = (name: string): string | undefined => {
  const at = given.indexOf(name);
  return at === -1 ? undefined : given[at + 1];
};
const number = (name: string): number | undefined => {
  const text = after(name);
  return text === undefined ? undefined : Number(text);
};
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
setup();
const bound = number("--bound") ?? 1_000;
const { news, worst, ...result } = await runRegister({
  bound,
  seconds: number("--seconds"),
  burst: number("--burst"),
  seed: number("--seed"),
  variant: after("--variant") as Variant | undefined,
  method: after("--method") === "outbox" ? "outbox" : "replication",
  nemeses: after("--only")?.split(","),
  log: given.includes("--log") ? (line) => console.error(line) : undefined,
});
console.log(`B = ${bound} ms`);
for (const [name, value] of Object.entries(result)) console.log(`${name}: ${Math.round(value * 10) / 10}`);
if (worst !== undefined) console.log(`stalest read: row ${worst.row}, version ${worst.version}`);
console.log(`news: ${[...news].map(([what, count]) => `${what} ×${count}`).join(", ")}`);
process.exitCode = result.staler > 0 || result.wrong > 0 ? 1 : 0;
