import { createRequire } from "node:module";
import type { Duplex } from "node:stream";

import { CacheError } from "../errors.js";

/** The calls made on a pool of connections of the package `undici` (7). */
export interface Pool {
  /** @returns whether it may be given more at once. */
  dispatch(request: PoolRequest, handler: PoolHandler): boolean;
  /** Ends when what is under way has ended. */
  close(): Promise<void>;
  destroy(error: Error | null): Promise<void>;
}

export interface PoolRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: readonly string[];
  readonly body: NodeJS.ReadableStream | null;
  /** The connection serves nothing after this. */
  readonly reset?: boolean;
  readonly upgrade?: string;
  /** The name in the certificate, whatever Host says. */
  readonly servername?: string;
  readonly headersTimeout?: number;
}

export interface PoolController {
  readonly rawHeaders?: readonly (Uint8Array | string)[] | null | undefined;
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
}

export interface PoolHandler {
  onRequestStart(controller: PoolController): void;
  onRequestUpgrade?(controller: PoolController, status: number, headers: unknown, socket: Duplex): void;
  /** Several times when there is a 1xx before. */
  onResponseStart(controller: PoolController, status: number, headers: unknown, statusText?: string): void;
  onResponseData(controller: PoolController, chunk: Uint8Array): void;
  onResponseEnd(controller: PoolController): void;
  onResponseError(controller: PoolController | undefined, error: Error): void;
}

export interface PoolOptions {
  readonly connections: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly keepAliveTimeout: number;
  readonly maxHeaderSize: number;
  readonly connect: { readonly timeout: number; readonly ca?: readonly string[] };
}

export type MakePool = (origin: string, options: PoolOptions) => Pool;

/** @throws CacheError `ERR_CACHE_OPTION` when it is not installed. */
export function loadUndici(): MakePool {
  let undici: { readonly Pool: new (origin: string, options: PoolOptions) => Pool };
  try {
    undici = createRequire(import.meta.url)("undici") as typeof undici;
  } catch (cause) {
    throw new CacheError("ERR_CACHE_OPTION", "The gateway needs the package `undici` (7): npm i undici@7", { cause });
  }
  return (origin, options) => new undici.Pool(origin, options);
}
