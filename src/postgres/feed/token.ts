import { CacheError } from "../../errors.js";
import type { Clock } from "../../clock.js";
import { optionError } from "../../policy.js";
import type { History } from "./facts.js";
import { isSameHistory } from "./note.js";
import { formatLsn, parseLsn } from "./lsn.js";
import { parseSnapshot, seesAllOf, type Snapshot } from "./snapshot.js";
import { within } from "./within.js";

/** A moment of one history of a database: a place in its log, or what was visible. */
export interface Token extends History {
  readonly place: bigint | Snapshot;
}

/** A moment up to which everything is applied. */
export interface Moment extends History {
  readonly lsn?: bigint | undefined;
  readonly snapshot: Snapshot;
}

/** @param place in the log, or the text of a snapshot. */
export function writeToken({ system, timeline }: History, place: bigint | string): string {
  const text = typeof place === "bigint" ? formatLsn(place).replace("/", "-") : place.replaceAll(":", "_");
  return `${system}.${timeline}.${text}`;
}

/** @throws CacheError `ERR_CACHE_OPTION` for what is no token. */
export function readToken(text: unknown): Token {
  const match =
    typeof text === "string" ? /^(\d{1,20})\.([0-9A-F]{8})\.([0-9A-F]+-[0-9A-F]+|\d+_\d+_[\d,]*)$/.exec(text) : null;
  const [, system, timeline, place] = match ?? [];
  try {
    if (system === undefined || timeline === undefined || place === undefined) throw new TypeError("Not a token");
    const parsed = place.includes("-") ? parseLsn(place.replace("-", "/")) : parseSnapshot(place.replaceAll("_", ":"));
    return { system, timeline, place: parsed };
  } catch {
    throw optionError("token", "what `token()` returned", text);
  }
}

interface Waiter {
  readonly token: Token;
  readonly resolve: () => void;
}

/** Who waits until this process has applied what a token stands for. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();
  #completed: Moment | undefined;
  /** Called when somebody begins to wait. */
  onWait: (() => void) | undefined;

  get any(): boolean {
    return this.#waiting.size > 0;
  }

  /** Everything up to then is applied in this process. */
  completed(moment: Moment): void {
    this.#completed = moment;
    for (const waiter of this.#waiting) {
      if (!isPast(waiter.token, moment)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  /** @throws CacheError `ERR_CACHE_TIMEOUT`. */
  async wait(token: Token, clock: Clock, timeout: number): Promise<void> {
    if (this.#completed !== undefined && isPast(token, this.#completed)) return;
    let waiter: Waiter | undefined;
    const reached = new Promise<void>((resolve) => {
      waiter = { token, resolve };
      this.#waiting.add(waiter);
    });
    this.onWait?.();
    try {
      await within(clock, timeout, "Waiting for the feed", reached);
    } catch (error) {
      throw error instanceof CacheError
        ? error
        : new CacheError("ERR_CACHE_TIMEOUT", "The feed did not get there", { cause: error });
    } finally {
      if (waiter !== undefined) this.#waiting.delete(waiter);
    }
  }
}

/** Whether a moment includes the token's. A later timeline does: what was cached before it is forgotten. */
function isPast(token: Token, moment: Moment): boolean {
  if (!isSameHistory(token, moment)) return token.system === moment.system && moment.timeline > token.timeline;
  const { place } = token;
  return typeof place === "bigint"
    ? moment.lsn !== undefined && moment.lsn >= place
    : seesAllOf(moment.snapshot, place);
}
