import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CacheError } from "../../errors.js";
import type { AccessEntry } from "../../gateway/access-log.js";
import type { GatewayConfig } from "../../gateway/config.js";
import { createGateway } from "../../gateway/gateway.js";
import { loadConfig } from "../../gateway/load-config.js";
import { resolveConfig } from "../../gateway/resolve-config.js";
import { superviseGateway, type GatewaySupervisor, type WorkerEvent } from "../../gateway/supervisor.js";
import { openCache } from "../../gateway/tiers.js";
import { isWorker, serveAsWorker } from "../../gateway/worker.js";
import { systemClock } from "../../clock.js";
import type { GatewayFlags } from "../commands/gateway.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { mountDashboard, reportToDashboard, type GatewayDashboard } from "../gateway-dashboard.js";
import type { Terminal } from "../terminal.js";

/** What workers are told in their environment. */
const VIA = "TIERCACHE_GATEWAY_VIA";
const FOLDER = "TIERCACHE_GATEWAY_FOLDER";

/** A caching reverse proxy, until it is told to stop. */
export async function gateway(flags: GatewayFlags, terminal: Terminal): Promise<ExitCode> {
  try {
    return await run(flags, terminal);
  } catch (error) {
    // The names in it are the configuration's, and not flags.
    if (!(error instanceof CacheError)) throw error;
    terminal.note(`error: ${error.message}`);
    return error.code === "ERR_CACHE_OPTION" ? EXIT.usage : EXIT.failure;
  }
}

async function run(flags: GatewayFlags, terminal: Terminal): Promise<ExitCode> {
  const load = (): Promise<GatewayConfig> => configOf(flags);
  const log = logTo(terminal);
  if (isWorker()) {
    await serveAsWorker(load, log, process.env[VIA], reportToDashboard);
    return EXIT.ok;
  }
  if (flags.workers > 1) return runWorkers(flags, load, terminal);
  const config = await load();
  const gateway = createGateway(config, { load, log });
  const { url, adminPort } = await gateway.start();
  const { cache } = gateway;
  const dashboard =
    adminPort === undefined || cache === undefined ? undefined : mountDashboard(gateway, cache, config, adminPort);
  greet(flags, terminal, url, adminPort, dashboard);
  await untilStopped(gateway, flags, terminal, dashboard);
  return EXIT.ok;
}

async function runWorkers(
  flags: GatewayFlags,
  load: () => Promise<GatewayConfig>,
  terminal: Terminal,
): Promise<ExitCode> {
  const config = await load();
  const folder = isShared(config) ? undefined : await ownFolder(terminal);
  try {
    const supervisor = await superviseGateway(config, {
      workers: flags.workers,
      load,
      environment: (via) => ({ [VIA]: via, ...(folder === undefined ? {} : { [FOLDER]: folder }) }),
      onEvent: (event) => flags.quiet !== true && terminal.note(eventText(event)),
    });
    const dashboard = await dashboardOf(supervisor, config, folder);
    greet(flags, terminal, supervisor.url, supervisor.adminPort, dashboard);
    await untilStopped(supervisor, flags, terminal, dashboard);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
  return EXIT.ok;
}

/** The page of several workers, from what they share: a cache of its own on the same tier hears what they report. */
async function dashboardOf(
  supervisor: GatewaySupervisor,
  config: GatewayConfig,
  folder: string | undefined,
): Promise<GatewayDashboard | undefined> {
  const { adminPort } = supervisor;
  if (adminPort === undefined) return undefined;
  const shared = folder === undefined ? config : { ...config, cache: { ...config.cache, folder } };
  const own = await openCache(resolveConfig(shared).cache, systemClock);
  const dashboard = mountDashboard(supervisor, own.cache, config, adminPort);
  return {
    link: dashboard.link,
    async close() {
      await dashboard.close();
      await own.close();
    },
  };
}

/** What the workers share when nothing else is said: a folder for as long as they run. */
async function ownFolder(terminal: Terminal): Promise<string | undefined> {
  try {
    createRequire(import.meta.url).resolve("lmdb");
  } catch {
    terminal.note("warning: each worker keeps its own responses; with the package `lmdb` they share them: npm i lmdb");
    return undefined;
  }
  return mkdtemp(join(tmpdir(), "tiercache-gateway-"));
}

/** Runs until it is told to stop, and reads its configuration again when it is told to. */
async function untilStopped(
  running: { reload(): Promise<void>; stop(): Promise<void> },
  flags: GatewayFlags,
  terminal: Terminal,
  dashboard: GatewayDashboard | undefined,
): Promise<void> {
  const reload = (): void => {
    running.reload().then(
      () => flags.quiet !== true && terminal.note("reloaded"),
      (error: unknown) => terminal.note(`not reloaded: ${textOf(error)}`),
    );
  };
  process.on("SIGHUP", reload);
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
  await dashboard?.close();
  await running.stop();
  process.off("SIGHUP", reload);
}

/** What the file says, and over it the flags, and under it the environment. */
async function configOf(flags: GatewayFlags): Promise<GatewayConfig> {
  const listen = {
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(flags.host === undefined ? {} : { host: flags.host }),
  };
  const over: GatewayConfig = {
    ...(flags.origin === undefined ? {} : { origin: flags.origin }),
    ...(Object.keys(listen).length === 0 ? {} : { listen }),
    ...(flags.log === true ? { accessLog: true } : {}),
  };
  if (flags.config === undefined && flags.origin === undefined) {
    throw new CacheError("ERR_CACHE_OPTION", "Expected `origin` to be given, or --config");
  }
  const config = flags.config === undefined ? over : await loadConfig(flags.config, over);
  if (isShared(config)) return config;
  const redis = process.env["REDIS_URL"];
  if (redis !== undefined && redis !== "") return { ...config, cache: { ...config.cache, redis } };
  const folder = process.env[FOLDER];
  return folder === undefined ? config : { ...config, cache: { ...config.cache, folder } };
}

function isShared({ cache }: GatewayConfig): boolean {
  return cache?.folder !== undefined || cache?.redis !== undefined;
}

function greet(
  flags: GatewayFlags,
  terminal: Terminal,
  url: string,
  adminPort: number | undefined,
  dashboard: GatewayDashboard | undefined,
): void {
  if (flags.quiet === true) return;
  terminal.note(`listening on ${url}${adminPort === undefined ? "" : `, admin on port ${adminPort}`}`);
  if (dashboard !== undefined) terminal.note(`dashboard: ${dashboard.link}`);
}

/** Lines go out together, once a turn of the event loop. */
function logTo(terminal: Terminal): (entry: AccessEntry) => void {
  let lines: string[] = [];
  const flush = (): void => {
    terminal.out(lines.join(""));
    lines = [];
  };
  return (entry) => {
    lines.push(`${JSON.stringify(entry)}\n`);
    if (lines.length === 1) setImmediate(flush);
  };
}

function eventText(event: WorkerEvent): string {
  const { pid } = event;
  if (event.type === "exited") return `worker ${pid} ended (${event.how}); another begins in ${event.restartIn} ms`;
  return `worker ${pid} listens`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
