import { CacheError } from "../errors.js";
import type { Answer, MemcachedConnection } from "./connection.js";

/** What a CAS value says of an item: that nobody has written it since. Only on the connection that gave it. */
export interface Version {
  readonly cas: string;
  readonly epoch: number;
}

/** An item as it was read. */
export interface Item extends Version {
  readonly value: Uint8Array;
  /** Whole seconds until the server forgets it; infinite for never. */
  readonly remaining: number;
  /** It was marked stale where it is (`md … I`). */
  readonly stale: boolean;
}

export interface Storing {
  /** From `seconds`; 0 for as long as there is room. */
  readonly ttl: number;
  /** Any number up to 2^32, which can be read without the value. @default 0 */
  readonly kind?: number | undefined;
  /** Only over this version of it. */
  readonly over?: Version | undefined;
  /** Only where nothing is. */
  readonly add?: boolean | undefined;
}

/** The longest time to live memcached counts from now, in seconds; a larger number would be a date. */
export const MAX_SECONDS = 2_592_000;

/**
 * Whole seconds in which the server forgets what should live for so many milliseconds, at least. Its clock ticks once
 * a second, so what it is told to keep for one may be gone at once: it is told one more.
 */
export function seconds(ms: number): number {
  return Math.min(MAX_SECONDS, Math.max(1, Math.ceil(ms / 1_000)) + 1);
}

/** Single items of one server. Each call is one command, atomic for that item; calls take effect in the order they are made. */
export class Items {
  readonly #connection: MemcachedConnection;

  constructor(connection: MemcachedConnection) {
    this.#connection = connection;
  }

  /** A time that grows with every start of the server; microseconds. */
  started(): Promise<number> {
    return this.#connection.started();
  }

  get epoch(): number {
    return this.#connection.epoch;
  }

  async get(key: string): Promise<Item | undefined> {
    const answer = await this.#connection.send(`mg ${key} v c t`);
    if (answer.code === "EN") return undefined;
    if (answer.value === undefined) throw unexpected(answer);
    let cas = "";
    let remaining = Number.POSITIVE_INFINITY;
    let stale = false;
    for (const flag of answer.flags) {
      if (flag.startsWith("c")) cas = flag.slice(1);
      else if (flag === "X") stale = true;
      else if (flag.startsWith("t") && flag !== "t-1") remaining = Number(flag.slice(1));
    }
    return { value: answer.value, cas: checkedCas(cas), epoch: answer.epoch, remaining, stale };
  }

  /** As `get`, where nobody will write over what was read. */
  async value(key: string): Promise<{ readonly value: Uint8Array; readonly stale: boolean } | undefined> {
    const answer = await this.#connection.send(`mg ${key} v`);
    if (answer.code === "EN") return undefined;
    if (answer.value === undefined) throw unexpected(answer);
    return { value: answer.value, stale: answer.flags.includes("X") };
  }

  /** The kind it was stored as; `undefined` where nothing is. */
  async kind(key: string): Promise<number | undefined> {
    const answer = await this.#connection.send(`mg ${key} f`);
    if (answer.code === "EN") return undefined;
    const flag = answer.flags.find((word) => word.startsWith("f"));
    if (answer.code !== "HD" || flag === undefined) throw unexpected(answer);
    return Number(flag.slice(1));
  }

  /** Its version when it was stored, `undefined` when the condition was not met. */
  async store(key: string, value: Uint8Array, { ttl, kind = 0, over, add }: Storing): Promise<Version | undefined> {
    const condition = (over === undefined ? "" : ` C${over.cas}`) + (add === true ? " ME" : "");
    const line = `ms ${key} ${value.length} c T${ttl} F${kind}${condition}`;
    const answer = await this.#connection.send(line, value, over?.epoch);
    switch (answer.code) {
      case "HD":
        return { cas: checkedCas(answer.flags.find((word) => word.startsWith("c"))?.slice(1)), epoch: answer.epoch };
      case "NS":
      case "EX":
      case "NF":
        return undefined;
      default:
        throw unexpected(answer);
    }
  }

  /** Removes it; false where nothing was, or another version than `over`. */
  async remove(key: string, over?: Version): Promise<boolean> {
    const condition = over === undefined ? "" : ` C${over.cas}`;
    return removed(await this.#connection.send(`md ${key}${condition}`, undefined, over?.epoch));
  }

  /** Marks it stale where it is, which gives it a new version; false where nothing is. */
  async soften(key: string): Promise<boolean> {
    return removed(await this.#connection.send(`md ${key} I`));
  }
}

function removed(answer: Answer): boolean {
  if (answer.code === "HD") return true;
  if (answer.code === "NF" || answer.code === "EX") return false;
  throw unexpected(answer);
}

function checkedCas(cas: string | undefined): string {
  if (cas !== undefined && /^[1-9]\d{0,19}$/.test(cas)) return cas;
  throw new CacheError("ERR_CACHE_TIER", "Expected memcached to give CAS values: it must not run with -C");
}

function unexpected({ code }: Answer): CacheError {
  return new CacheError("ERR_CACHE_TIER", `Expected another reply of memcached than ${code}: it must be 1.6 or later`);
}
