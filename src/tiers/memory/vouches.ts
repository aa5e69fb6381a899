/** Versions and ticks are kept as small integers. */
const MOST_VERSION = 2 ** 31 - 1;
const NEVER = -1;

/**
 * What may be handed out of a slot without a look at its entry.
 *
 * An entry is an object somewhere on the heap: to ask it whether it may be served costs, in a large cache, more than to find
 * it. Whoever has asked it vouches for the answer: until some tick, and as long as what entries are judged by has not
 * become another version. Then a hit reads two numbers and the answer, all three at places known as soon as the slot is.
 *
 * A vouch says nothing that the entry would not say. Whatever makes an entry say otherwise must be a later tick, another
 * version, or withdraw it. To withdraw one too many, that of a slot's next entry for instance, only costs a look.
 *
 * Nothing is allocated before the first vouch; then 16 bytes per slot.
 */
export class Vouches {
  #answers: unknown[] = [];
  /** Slot s has its version at 2s, and at 2s + 1 the tick before which it stands. */
  #terms: Int32Array = new Int32Array(0);
  #slots = 0;

  /** Whether the answer of a slot stands; `tick` need not be an integer. */
  stands(slot: number, version: number, tick: number): boolean {
    const terms = this.#terms;
    return terms.length !== 0 && terms[2 * slot] === version && tick < (terms[2 * slot + 1] as number);
  }

  answerAt(slot: number): unknown {
    return this.#answers[slot];
  }

  /** @param until a tick: an integer of 31 bits. */
  give(slot: number, answer: unknown, version: number, until: number): void {
    if (version > MOST_VERSION) return;
    if (this.#terms.length === 0) this.#allocate();
    this.#answers[slot] = answer;
    this.#terms[2 * slot] = version;
    this.#terms[2 * slot + 1] = until;
  }

  withdraw(slot: number): void {
    if (this.#terms.length === 0) return;
    this.#terms[2 * slot + 1] = NEVER;
    this.#answers[slot] = undefined;
  }

  /** Makes room for slots 0 to `slots` - 1; never fewer than before. */
  resize(slots: number): void {
    this.#slots = slots;
    if (this.#terms.length !== 0) this.#allocate();
  }

  clear(): void {
    this.#answers = [];
    this.#terms = new Int32Array(0);
    this.#slots = 0;
  }

  #allocate(): void {
    const terms = new Int32Array(2 * this.#slots).fill(NEVER, this.#terms.length);
    terms.set(this.#terms);
    this.#terms = terms;
    const answers = this.#answers;
    const from = answers.length;
    // Set at once to what is needed, and filled: with holes each reading would look further.
    answers.length = this.#slots;
    answers.fill(undefined, from);
  }
}
