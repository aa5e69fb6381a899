import { connect as connectSocket, createServer, type AddressInfo, type Socket } from "node:net";

import { createCache, memory } from "../../index.js";
import { redis } from "../../redis/redis.js";
import { milliseconds } from "../../figures.js";
import { connect } from "../reach.js";
import { findings, type Finding } from "../../admin/doctor/finding.js";

const found = findings("fallback");
/** Longest that a read may take while Redis is away: the tier's timeout, and room for a busy machine. */
const BOUND = 3_000;

/**
 * Tries what happens to reads when the Redis goes: through a connection of its own, which is made silent and then cut. The
 * cache is made when nothing passes any more, so nothing of it ever reaches the server.
 */
export async function checkFallback(url: string): Promise<readonly Finding[]> {
  const address = new URL(url);
  if (address.protocol !== "redis:")
    return [found("redis away", "skipped", "only a connection without TLS can be cut here")];
  const link = await openLink(Number(address.port || "6379"), address.hostname.replace(/^\[|\]$/g, ""));
  address.host = `127.0.0.1:${link.port}`;
  try {
    const { client, close } = await connect(address.href);
    try {
      link.silence();
      const silent = await readAround(client);
      link.cut();
      const gone = await readAround(client);
      return [told("redis hangs", silent), told("redis gone", gone)];
    } finally {
      close();
    }
  } finally {
    await link.close();
  }
}

/** What one read took, in milliseconds; or what it failed with. */
async function readAround(client: Parameters<typeof redis>[0]): Promise<number | Error> {
  const cache = createCache({ name: "tiercache-doctor", tiers: [memory(), redis(client)] });
  try {
    const begun = performance.now();
    const value = await cache.getOrLoad("probe", async () => "loaded", { waitTimeout: BOUND * 2 });
    const again = cache.peek("probe");
    if (value !== "loaded" || again !== "loaded") return new Error(`it gave ${value}, then ${JSON.stringify(again)}`);
    return performance.now() - begun;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    await cache.close();
  }
}

function told(check: string, took: number | Error): Finding {
  if (took instanceof Error) return found(check, "fail", `a read failed: ${took.message}`);
  const text = `a read was answered by its loader after ${milliseconds(took)}, and from memory then`;
  return took <= BOUND
    ? found(check, "ok", text)
    : found(check, "fail", text, 'createCache({ shared: { timeout: "250ms" } })');
}

interface Link {
  readonly port: number;
  /** Nothing passes any more; connections stand. */
  silence(): void;
  /** Connections are lost, and new ones refused. */
  cut(): void;
  close(): Promise<void>;
}

/** A way to a server that can be broken. */
async function openLink(port: number, host: string): Promise<Link> {
  const sockets = new Set<Socket>();
  let isSilent = false;
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.destroy();
    const far = connectSocket(port, host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket
        .on("error", () => socket.destroy())
        .on("close", () => (near.destroy(), far.destroy(), sockets.delete(socket)));
    }
    near.on("data", (chunk) => isSilent || far.write(chunk));
    far.on("data", (chunk) => isSilent || near.write(chunk));
    return undefined;
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const cut = (): void => {
    isCut = true;
    for (const socket of [...sockets]) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    silence: () => (isSilent = true),
    cut,
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
