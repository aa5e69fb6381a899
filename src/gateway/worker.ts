import cluster from "node:cluster";

import type { Cache } from "../api.js";
import type { PurgeTarget } from "../http/purge.js";
import type { AccessEntry } from "./access-log.js";
import type { GatewayConfig } from "./config.js";
import { createGateway, type Gateway } from "./gateway.js";

/** What a supervisor asks of a worker, and by what number the answer comes back. */
export type WorkerRequest = { readonly id: number } & (
  | { readonly ask: "ready" | "stats" | "reload" | "stop" }
  | { readonly ask: "purge"; readonly targets: readonly PurgeTarget[]; readonly mode: "hard" | "soft" }
);

/** What a worker says: that it listens, or could not; or an answer. */
export type WorkerMessage =
  | { readonly said: "listening"; readonly url: string }
  | { readonly said: "failed"; readonly message: string }
  | { readonly said: "answer"; readonly id: number; readonly result?: unknown; readonly error?: string };

/** Whether this process was begun by `superviseGateway`. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/**
 * Answers clients on the port that the supervisor holds, until it is told to stop or the supervisor is gone.
 *
 * @param via the gateway in Via; the same for all workers.
 * @param attend is told of its cache once it listens, and closed before that is.
 */
export async function serveAsWorker(
  load: () => Promise<GatewayConfig>,
  log: (entry: AccessEntry) => void,
  via: string | undefined,
  attend: (cache: Cache) => { close(): Promise<void> },
): Promise<void> {
  let gateway: Gateway;
  try {
    gateway = createGateway(
      { ...(await load()), admin: false },
      { load: async () => ({ ...(await load()), admin: false }), log, via },
    );
    const { url } = await gateway.start();
    await tell({ said: "listening", url });
  } catch (error) {
    await tell({ said: "failed", message: error instanceof Error ? error.message : String(error) });
    cluster.worker?.disconnect();
    return;
  }
  const attending = gateway.cache === undefined ? undefined : attend(gateway.cache);
  await new Promise<void>((resolve) => {
    const stop = (): void => resolve();
    // A terminal's Ctrl-C reaches all of them; who ends when is for the supervisor to say.
    process.on("SIGINT", () => undefined);
    process.once("SIGTERM", stop);
    process.once("disconnect", stop);
    process.on("message", (message) => void answer(gateway, message as WorkerRequest, stop));
  });
  await attending?.close();
  await gateway.stop();
  if (process.connected) process.disconnect();
}

/** Never rejects. */
async function answer(gateway: Gateway, request: WorkerRequest, stop: () => void): Promise<void> {
  const { id } = request;
  try {
    await tell({ said: "answer", id, result: await resultOf(gateway, request, stop) });
  } catch (error) {
    await tell({ said: "answer", id, error: error instanceof Error ? error.message : String(error) });
  }
}

async function resultOf(gateway: Gateway, request: WorkerRequest, stop: () => void): Promise<unknown> {
  switch (request.ask) {
    case "ready":
      return gateway.isReady();
    case "stats":
      return gateway.stats();
    case "reload":
      return gateway.reload();
    case "purge":
      return gateway.purge(request.targets, request.mode);
    case "stop":
      return stop();
  }
}

/** Resolves when it is on its way; a supervisor that is gone needs to be told nothing. */
function tell(message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });
}
