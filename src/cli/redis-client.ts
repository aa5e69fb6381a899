import { createRequire } from "node:module";
import { join } from "node:path";
import type { RedisLike } from "../redis/client.js";
import { ModuleError } from "./load-module.js";

/** A connected client, and its end. */
export interface OpenRedis {
  readonly client: RedisLike;
  readonly close: () => void;
}

/** The calls made on the packages themselves. */
interface NodeRedisPackage {
  createClient(options: { readonly url: string; readonly socket: { readonly connectTimeout: number } }): RedisLike & {
    on(event: "error", listener: (error: unknown) => void): unknown;
    connect(): Promise<unknown>;
    destroy(): void;
  };
}

const CONNECT_TIMEOUT = 3_000;

/** The Redis cannot be reached. */
export class UnreachableError extends Error {}

/**
 * Connects to a Redis with the client package of the project this is run in, or the one beside this program.
 *
 * @throws ModuleError when there is none; UnreachableError when the server does not answer.
 */
export async function openRedis(url: string): Promise<OpenRedis> {
  const client = loadPackage().createClient({ url, socket: { connectTimeout: CONNECT_TIMEOUT } });
  let problem: unknown;
  let refuse: (error: unknown) => void = () => undefined;
  const refused = new Promise<never>((_, reject) => (refuse = reject));
  // Later ones show in the commands; before the first connection they say why there is none, and it is not tried again.
  client.on("error", (error) => {
    problem = error;
    refuse(error);
  });
  const timer = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error("it does not answer")), CONNECT_TIMEOUT).unref();
  });
  try {
    await Promise.race([client.connect(), refused, timer]);
  } catch (error) {
    client.destroy();
    const cause = problem ?? error;
    const { host } = new URL(url);
    throw new UnreachableError(`Redis at ${host}: ${messageOf(cause)}`, { cause });
  }
  return { client, close: () => client.destroy() };
}

function loadPackage(): NodeRedisPackage {
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return createRequire(from)("redis") as NodeRedisPackage;
    } catch {
      // Not there: the next place.
    }
  }
  throw new ModuleError("This needs the package `redis` (5 or later): npm i redis");
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // What Node says of a host with several addresses has no text of its own.
  const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
  if (text !== "") return text;
  return typeof code === "string" ? code : "no connection";
}
