import type { ServerResponse } from "node:http";

import { caseResult, type CaseResult } from "../report.js";
import type { Setting } from "../suite.js";
import { world } from "./world.js";

/** How long the application takes for an answer; milliseconds. */
const SLOW = 200;

/** What many at the same time cost the application, and how long they wait. CPU is that of the whole process, clients included. */
export async function mechanics({ quick }: Setting): Promise<readonly CaseResult[]> {
  const rounds = quick ? 2 : 5;
  return [
    await counted("stampede", "200 cold requests for one URL; the application takes 200 ms", rounds, stampede),
    await counted("private", "two waves of 50 for one URL whose answers are private", rounds, privately),
    await counted(
      "stale-while-revalidate",
      "50 requests for a stale answer; the application takes 200 ms",
      rounds,
      stale,
    ),
    await counted("join", "a reader that joins a body half of which has come", rounds, join),
  ];
}

type Counts = Readonly<Record<string, number>>;

async function counted(name: string, what: string, rounds: number, run: () => Promise<Counts>): Promise<CaseResult> {
  const perRound: number[] = [];
  const worst: Record<string, number> = {};
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    const counts = await run();
    const { user, system } = process.cpuUsage(before);
    perRound.push(user + system);
    for (const [key, value] of Object.entries(counts))
      worst[key] = Math.max(worst[key] ?? 0, Math.round(value * 10) / 10);
  }
  return caseResult(
    name,
    `${what}; the worst of ${rounds} rounds`,
    [{ name: "tiercache", operations: 1, perRound }],
    () => worst,
  );
}

async function stampede(): Promise<Counts> {
  const { ask, runs, close } = await world((_incoming, outgoing) => later(outgoing, "public, max-age=60"));
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask("/")));
  await close();
  return { "origin requests": runs(), "slowest ms": Math.max(...answers.map(({ last }) => last)) };
}

async function privately(): Promise<Counts> {
  const { ask, runs, close } = await world((_incoming, outgoing) => later(outgoing, "private, max-age=60"));
  const wave = async (): Promise<number> => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, user) => ask("/", { cookie: `user=${user}` })));
    return Math.max(...answers.map(({ last }) => last));
  };
  const first = await wave();
  const second = await wave();
  await close();
  return { "origin requests": runs(), "first wave's slowest ms": first, "second wave's slowest ms": second };
}

async function stale(): Promise<Counts> {
  let isSlow = false;
  const { ask, runs, close } = await world((_incoming, outgoing) => {
    if (isSlow) later(outgoing, "public, max-age=0, stale-while-revalidate=60");
    else answer(outgoing, "public, max-age=0, stale-while-revalidate=60");
  });
  const wave = async (): Promise<{ runs: number; slowest: number }> => {
    const before = runs();
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask("/")));
    return { runs: runs() - before, slowest: Math.max(...answers.map(({ last }) => last)) };
  };
  await ask("/");
  isSlow = true;
  // It is stale again at once each time; in the first wave connections are opened.
  const first = await wave();
  await new Promise((resolve) => setTimeout(resolve, SLOW * 2));
  const second = await wave();
  await new Promise((resolve) => setTimeout(resolve, SLOW * 2));
  await close();
  return {
    "origin requests a wave": Math.max(first.runs, second.runs),
    "slowest ms, opening connections": first.slowest,
    "slowest ms": second.slowest,
  };
}

async function join(): Promise<Counts> {
  const { ask, runs, close } = await world((_incoming, outgoing) => {
    outgoing.writeHead(200, { "cache-control": "public, max-age=60" });
    outgoing.write("x".repeat(10_000));
    setTimeout(() => outgoing.end("y".repeat(10_000)), SLOW * 2);
  });
  const leader = ask("/");
  await new Promise((resolve) => setTimeout(resolve, SLOW));
  const joined = await ask("/");
  await leader;
  await close();
  return { "origin requests": runs(), "first byte ms": joined.first, "last byte ms": joined.last };
}

function later(outgoing: ServerResponse, cacheControl: string): void {
  setTimeout(() => answer(outgoing, cacheControl), SLOW);
}

function answer(outgoing: ServerResponse, cacheControl: string): void {
  outgoing.writeHead(200, { "cache-control": cacheControl, "content-length": 5 });
  outgoing.end("hello");
}
