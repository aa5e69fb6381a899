/**
 * Doubly linked lists threaded through slots: each slot is in at most one of them.
 *
 * Nodes 0 to `lists` - 1 are the lists' sentinels and slot s is node s + `lists`, so that every list is a ring and
 * linking has no special case. Both links of a node lie side by side: 8 bytes per slot, one cache line per visit.
 * Every operation is O(1).
 */
export class SlotLists {
  readonly #lists: number;
  /** Node n's previous is at 2n, its next at 2n + 1. */
  #links: Int32Array;

  constructor(lists: number) {
    this.#lists = lists;
    this.#links = new Int32Array(2 * lists);
    this.#empty();
  }

  /** Makes room for slots 0 to `slots` - 1, or gives room back once no slot beyond is linked. */
  resize(slots: number): void {
    const links = new Int32Array(2 * (this.#lists + slots));
    links.set(this.#links.subarray(0, links.length));
    this.#links = links;
  }

  /** Links an unlinked slot in as the newest of a list. */
  append(list: number, slot: number): void {
    this.#insert(slot + this.#lists, this.#links[2 * list] as number, list);
  }

  /** Links an unlinked slot in as the oldest of a list. */
  prepend(list: number, slot: number): void {
    this.#insert(slot + this.#lists, list, this.#links[2 * list + 1] as number);
  }

  remove(slot: number): void {
    const links = this.#links;
    const at = 2 * (slot + this.#lists);
    const previous = links[at] as number;
    const next = links[at + 1] as number;
    links[2 * previous + 1] = next;
    links[2 * next] = previous;
  }

  /** Makes a linked slot the newest of a list, its own or another. */
  moveToEnd(list: number, slot: number): void {
    this.remove(slot);
    this.append(list, slot);
  }

  /** The oldest slot of a list, -1 when it is empty. */
  first(list: number): number {
    const node = this.#links[2 * list + 1] as number;
    return node < this.#lists ? -1 : node - this.#lists;
  }

  /** The slot after this one, -1 at the end. */
  after(slot: number): number {
    const node = this.#links[2 * (slot + this.#lists) + 1] as number;
    return node < this.#lists ? -1 : node - this.#lists;
  }

  /** Any part of what unlinking a slot reads. */
  fetch(slot: number): number {
    const links = this.#links;
    const at = 2 * (slot + this.#lists);
    return (links[2 * (links[at] as number)] as number) ^ (links[2 * (links[at + 1] as number)] as number);
  }

  isEmpty(list: number): boolean {
    return this.#links[2 * list] === list;
  }

  #insert(node: number, previous: number, next: number): void {
    const links = this.#links;
    links[2 * node] = previous;
    links[2 * node + 1] = next;
    links[2 * previous + 1] = node;
    links[2 * next] = node;
  }

  #empty(): void {
    for (let list = 0; list < this.#lists; list += 1) {
      this.#links[2 * list] = list;
      this.#links[2 * list + 1] = list;
    }
  }
}
