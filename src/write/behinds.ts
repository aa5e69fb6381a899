import { CacheError } from "../errors.js";
import type { Lane, WriteBehindStats } from "./behind-lane.js";

/** What a cache writes behind: told of in its stats, and flushed before it closes. */
export class Behinds {
  readonly #lanes = new Map<string, Lane>();

  /** @throws CacheError `ERR_CACHE_OPTION` while another of that name is open. */
  add(lane: Lane): void {
    const known = this.#lanes.get(lane.name);
    if (known !== undefined && !known.closed) {
      throw new CacheError("ERR_CACHE_OPTION", `Expected \`name\` to be used once, got \`${lane.name}\` again`);
    }
    this.#lanes.set(lane.name, lane);
  }

  /** `undefined` when there is none. */
  stats(): readonly WriteBehindStats[] | undefined {
    return this.#lanes.size === 0 ? undefined : Array.from(this.#lanes.values(), (lane) => lane.stats());
  }

  /** `undefined` when there is nothing to close. */
  close(): Promise<void> | undefined {
    if (this.#lanes.size === 0) return undefined;
    return Promise.all(Array.from(this.#lanes.values(), (lane) => lane.close())).then(() => undefined);
  }
}
