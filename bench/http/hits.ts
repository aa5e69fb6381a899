import { caseResult, type CaseResult } from "../report.js";
import { order, type Measured } from "../slices.js";
import type { Setting } from "../suite.js";
import { PATH } from "./document.js";
import { drive } from "./load.js";
import { cpuMicros, startNginx, startNode, startVarnish, type Served } from "./servers.js";

const NODE = [
  "tiercache",
  "tiercache, isolation none",
  "tiercache gateway",
  "bare",
  "prebuilt",
  "tiercache on Express",
  "tiercache on Fastify",
  "bare Fastify",
  "tiercache on Hono",
  "bare Hono",
  "undici's interceptor",
];

/** Requests of a hit per CPU second of the server's processes, all servers by turns. */
export async function hits({ quick }: Setting): Promise<readonly CaseResult[]> {
  const requests = quick ? 2_500 : 5_000;
  const rounds = quick ? 7 : 21;
  const origin = await startNode("bare", 0);
  const servers: Served[] = [];
  try {
    for (const name of NODE) servers.push(await startNode(name, origin.port));
    for (const server of [await startNginx(origin.port), await startVarnish(origin.port)]) {
      if (server !== undefined) servers.push(server);
    }
    for (const { port } of servers) {
      for (let time = 0; time < 2; time += 1) await (await fetch(`http://127.0.0.1:${port}${PATH}`)).arrayBuffer();
      await drive(port, PATH, 2_000);
    }
    const perRound = servers.map((): number[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const turn of order(servers.length, round)) {
        const { port, pid } = servers[turn] as Served;
        const before = cpuMicros(pid);
        await drive(port, PATH, requests);
        perRound[turn]?.push((cpuMicros(pid) - before) / requests);
      }
    }
    const measured: Measured[] = servers.map(({ name }, index) => ({
      name,
      operations: requests,
      perRound: perRound[index] as number[],
    }));
    return [caseResult("hits", "1 KB of JSON from the cache, 32 connections; CPU of the server's processes", measured)];
  } finally {
    for (const server of [...servers, origin]) await server.stop();
  }
}
