import type { ChangeFeed, ChangeSink, OpenFeed } from "../../src/index.js";
import { FeedLeader, pause, readNote, type Barrier } from "./feed-leader.js";
import type { Instance } from "./instance.js";
import type { World } from "./world.js";

/**
 * A correct feed of the simulation's database, one in each process. The one that has the slot leads; the others
 * stand by, and know from its notes how far it is.
 */
export class SimulatedFeed implements ChangeFeed {
  readonly kind = "simulated";
  readonly maxStaleness: number;
  readonly #world: World;
  readonly #owner: Instance;
  #leader: FeedLeader | undefined;
  /** Those that wait for the leader. */
  #barriers: Barrier[] = [];
  #isClosed = false;

  constructor(world: World, owner: Instance) {
    this.maxStaleness = world.weather.fed;
    this.#world = world;
    this.#owner = owner;
  }

  open(sink: ChangeSink): OpenFeed {
    void this.#run(sink);
    return {
      stats: () => ({ leads: this.#leader !== undefined }),
      close: async () => {
        this.#isClosed = true;
      },
    };
  }

  async #run(sink: ChangeSink): Promise<void> {
    await pause(sink, 0);
    while (!this.#isClosed && this.#owner.isAlive) {
      const begun = sink.clock.now();
      if (this.#leader?.isEnded === true) this.#leader = undefined;
      if (this.#leader === undefined) await this.#standBy(sink);
      else await this.#leader.tick();
      await pause(sink, Math.max(1, begun + this.maxStaleness / 5 - sink.clock.now()));
    }
  }

  async #standBy(sink: ChangeSink): Promise<void> {
    const { database } = this.#world;
    const at = sink.clock.now();
    const facts = await database.ask(this.#owner, "facts", () => database.facts());
    if (facts.isFree) return this.#lead(sink);
    this.#barriers.push({ at, lsn: facts.lsn });
    const note = await readNote(this.#world, sink);
    const over = this.#barriers.findLastIndex(({ lsn }) => note !== undefined && lsn <= note.lsn);
    const barrier = this.#barriers[over];
    if (barrier === undefined || !(await sink.catchUp())) return;
    this.#barriers.splice(0, over + 1);
    sink.complete(barrier.at);
  }

  async #lead(sink: ChangeSink): Promise<void> {
    const leader = new FeedLeader(this.#world, this.#owner, sink);
    if (await leader.begin()) this.#leader = leader;
  }
}
