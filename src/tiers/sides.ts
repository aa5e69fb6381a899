import type { LogKnowledge } from "../invalidation/knowledge.js";
import type { SharedSide } from "./shared-side.js";

/** A cache's sides of its shared tier: one, or one for each shard. None without a shared tier. */
export class Sides {
  readonly all: readonly SharedSide[];
  readonly #shardOf: (path: string) => number;
  readonly #alone: LogKnowledge;
  readonly #aloneFed: LogKnowledge;

  /** @param alone what a process knows that has no log but its own; `aloneFed` the same for entries that are fed. */
  constructor(
    all: readonly SharedSide[],
    shardOf: (path: string) => number,
    alone: LogKnowledge,
    aloneFed: LogKnowledge,
  ) {
    this.all = all;
    this.#shardOf = shardOf;
    this.#alone = alone;
    this.#aloneFed = aloneFed;
  }

  /** The side that holds the key. */
  of(path: string): SharedSide | undefined {
    return this.all.length < 2 ? this.all[0] : this.all[this.#shardOf(path)];
  }

  /** The log by which the key is judged, and the feed if its entry is fed. */
  knowledgeOf(path: string, fed: boolean): LogKnowledge {
    const side = this.of(path);
    if (fed) return side?.fed ?? this.#aloneFed;
    return side ?? this.#alone;
  }

  /** Groups what has keys by the side that holds them. Without a shared tier there is nobody to group for. */
  group<T>(items: readonly T[], pathOf: (item: T) => string): ReadonlyMap<SharedSide, readonly T[]> {
    const groups = new Map<SharedSide, T[]>();
    for (const item of items) {
      const side = this.of(pathOf(item));
      if (side === undefined) continue;
      const group = groups.get(side);
      if (group === undefined) groups.set(side, [item]);
      else group.push(item);
    }
    return groups;
  }
}
