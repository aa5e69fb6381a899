import { fieldValue } from "../http/fields.js";
import type { NodeOutcome } from "../http/node/answer.js";

/** What one process of the gateway has done since it began. */
export interface GatewayCounts {
  /** Requests answered, refusals included. */
  readonly requests: number;
  /** Under way. */
  readonly active: number;
  /** Answered without the origin's help. */
  readonly hits: number;
  /** Answered by another's request at the same time. */
  readonly collapsed: number;
  /** Answered with 502 or 504, as the origin was not there. */
  readonly failures: number;
  /** Bytes of bodies. */
  readonly bytes: number;
  /** Clients that went away, or were cut as they did not read. */
  readonly gone: number;
  /** Connections that have become WebSockets. */
  readonly upgrades: number;
  /** By the first digit of the status. */
  readonly statuses: Readonly<Record<string, number>>;
}

export class Counters {
  #requests = 0;
  #active = 0;
  #hits = 0;
  #collapsed = 0;
  #failures = 0;
  #bytes = 0;
  #gone = 0;
  #upgrades = 0;
  readonly #statuses = new Map<string, number>();

  get active(): number {
    return this.#active;
  }

  began(): void {
    this.#active += 1;
  }

  upgraded(): void {
    this.#upgrades += 1;
  }

  ended({ status, bytes, ending, fields }: NodeOutcome): void {
    this.#active -= 1;
    this.#requests += 1;
    this.#bytes += bytes;
    if (ending === "gone" || ending === "stalled") this.#gone += 1;
    if (ending === "failed" && status >= 502) this.#failures += 1;
    const digit = `${Math.floor(status / 100)}xx`;
    if (status > 0) this.#statuses.set(digit, (this.#statuses.get(digit) ?? 0) + 1);
    // The last member is this cache's own (RFC 9211 §2).
    const said = fieldValue(fields, "cache-status") ?? "";
    const own = said.slice(said.lastIndexOf(",") + 1);
    if (/;\s*hit(?:;|$)/.test(own)) this.#hits += 1;
    if (/;\s*collapsed(?:;|$)/.test(own)) this.#collapsed += 1;
  }

  counts(): GatewayCounts {
    return {
      requests: this.#requests,
      active: this.#active,
      hits: this.#hits,
      collapsed: this.#collapsed,
      failures: this.#failures,
      bytes: this.#bytes,
      gone: this.#gone,
      upgrades: this.#upgrades,
      statuses: Object.fromEntries(this.#statuses),
    };
  }
}
