import type { SharedSide } from "../tiers/shared-side.js";
import type { Head, Mark } from "./record.js";

/** Marks in one record at most. */
const LIMIT = 1_000;

interface Sent {
  readonly head: Head;
  readonly hit: number;
}

interface Batch {
  readonly marks: Map<string, Mark>;
  readonly sent: Promise<Sent>;
}

/**
 * Sends invalidations to one log. Those of one turn of the event loop that name no keys go as one record, each mark once:
 * a hundred writes that invalidate one tag are one record to write and one message for every process. (Those with keys are
 * told how many they hit, so each has a record of its own.)
 */
export class Outbox {
  readonly #side: Omit<SharedSide, "outbox">;
  #hard: Batch | undefined;
  #soft: Batch | undefined;

  constructor(side: Omit<SharedSide, "outbox">) {
    this.#side = side;
  }

  send(marks: readonly Mark[], soft: boolean): Promise<Sent> {
    if (marks.length >= LIMIT || marks.some((mark) => mark.kind === "key")) return this.deliver(marks, soft);
    const open = soft ? this.#soft : this.#hard;
    if (open !== undefined && open.marks.size + marks.length <= LIMIT) {
      put(open.marks, marks);
      return open.sent;
    }
    return this.#open(marks, soft);
  }

  #open(marks: readonly Mark[], soft: boolean): Promise<Sent> {
    const together = new Map<string, Mark>();
    put(together, marks);
    const sent = Promise.resolve().then(() => {
      // Closed before it is sent: who comes later may come for a write that was later.
      const mine = soft ? this.#soft : this.#hard;
      if (mine === batch) this.#set(soft, undefined);
      return this.deliver([...together.values()], soft);
    });
    const batch: Batch = { marks: together, sent };
    this.#set(soft, batch);
    return sent;
  }

  #set(soft: boolean, batch: Batch | undefined): void {
    if (soft) this.#soft = batch;
    else this.#hard = batch;
  }

  /** As one record, at once; applied here when it is acknowledged. */
  async deliver(marks: readonly Mark[], soft: boolean): Promise<Sent> {
    const { guard, tier, origin, patience, follower } = this.#side;
    const sent = await guard.call("store.invalidate", () => tier.store.invalidate(marks, soft, origin), patience);
    follower.applyAcknowledged(marks, soft, sent.head.position);
    return sent;
  }
}

function put(into: Map<string, Mark>, marks: readonly Mark[]): void {
  for (const mark of marks) into.set(JSON.stringify(mark), mark);
}
