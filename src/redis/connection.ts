import { CacheError } from "../errors.js";

/** A static Lua text and its SHA-1, by which the server knows it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

/** What the tier needs of a client, whichever it is. Bulk strings in replies are bytes. */
export interface Connection {
  /** Put before every key by the tier, because the client does not do it for these commands. */
  readonly keyPrefix: string;
  /** Put before channels, which know neither key prefixes nor numbered databases. */
  readonly channelPrefix: string;
  mget(keys: string[]): Promise<(Uint8Array | undefined)[]>;
  run(script: Script, keys: readonly string[], args: readonly (string | Uint8Array)[]): Promise<unknown>;
  /** One command on one key, its name in capitals. */
  send(command: string, key: string, args: readonly (string | Uint8Array)[]): Promise<unknown>;
}

export interface PushListener {
  message(text: string): void;
  /** The subscription stands, for the first time or again. */
  up(): void;
  /** It was lost; `up` follows if the client connects again. */
  down(): void;
}

/** A subscription to one channel. */
export interface Push {
  /** Resolves when the subscription stands for the first time; rejects when it never will. */
  readonly standing: Promise<void>;
  /** Nothing is heard any more; the connection is closed if it was opened for this. */
  close(): void;
}

/** The promise of a subscription that stands, settled once. */
export class Settlement {
  readonly promise: Promise<void>;
  #settled = false;
  #resolve!: () => void;
  #reject!: (error: CacheError) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  resolve(): void {
    this.#settled = true;
    this.#resolve();
  }

  /** Without effect when it stood before. */
  reject(cause: unknown): void {
    this.#settled = true;
    const misused = cause instanceof CacheError && cause.code === "ERR_CACHE_OPTION";
    this.#reject(
      misused ? cause : new CacheError("ERR_CACHE_TIER", "The subscription to the log was not made", { cause }),
    );
  }
}

/** Bytes as both clients take them, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One argument as both clients take it. */
export function asArgument(arg: string | Uint8Array): string | Buffer {
  return typeof arg === "string" ? arg : asBuffer(arg);
}

/** Script arguments as both clients take them: the number of keys, the keys, the rest. */
export function scriptArguments(
  script: string,
  keys: readonly string[],
  args: readonly (string | Uint8Array)[],
): (string | Buffer)[] {
  const all: (string | Buffer)[] = [script, String(keys.length), ...keys];
  for (const arg of args) all.push(asArgument(arg));
  return all;
}

/** Whether the server has not got the script: then nothing of it has run, and sending its text is no second try. */
export function isScriptUnknown(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}

/** The values of an MGET reply; a key of another type is nil to MGET, so never an error. */
export function asValues(reply: unknown): (Uint8Array | undefined)[] {
  if (!Array.isArray(reply)) throw new CacheError("ERR_CACHE_TIER", "Expected an array in reply to MGET");
  return reply.map((value: unknown) => (value instanceof Uint8Array ? value : undefined));
}

/** An option the client was made with, as text; "" when it has none. */
export function optionText(options: object | undefined, name: string): string {
  const value: unknown = options === undefined ? undefined : Reflect.get(options, name);
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : "";
}

/** Keeps apart the channels of caches whose keys are kept apart by a prefix or a database number. */
export function channelPrefixOf(keyPrefix: string, database: string): string {
  return database === "" || database === "0" ? keyPrefix : `${database}@${keyPrefix}`;
}
