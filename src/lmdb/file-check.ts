import { readSync } from "node:fs";

/**
 * Reads the file of an LMDB environment without LMDB, which takes every page for what it should be: one number
 * changed by a bad disk or a careless hand, and it reads past the end of the map, which ends the process.
 *
 * For implementers: the format is that of data version 2, on a machine that is little-endian. A page begins with its
 * number (8 bytes), a transaction (8), two unused, flags (2), and where its free space begins and ends (2 and 2; 4 for
 * the count of an overflow's pages), counted from the end of this head. Then come the offsets of its nodes, 2 bytes
 * each. A node is the size of its value or the number of a child (2, 2, and for children 2 more, which are flags in a
 * leaf), the size of its key (2), key and value. What does not fit is on overflow pages, and the value is their first
 * number, a transaction, and their count. The first two pages are metas: the newer holds the roots of two trees, that
 * of the free pages and the table. Every other page belongs to one of the trees or is listed as free, never both.
 */
export interface FileMeta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly free: Tree;
  readonly main: Tree;
}

interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflows: number;
  readonly entries: number;
  /** `undefined` when it is empty. */
  readonly root: number | undefined;
}

/** Hears each key with what is on the first page of its value, and the value's size; throws when it is not sound. */
export type VisitItem = (key: Uint8Array, seen: Uint8Array, size: number) => void;

const HEAD = 24;
const NODE = 8;
const META_BYTES = 168;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const META = 8;
const BIG = 1;
const MAX_DEPTH = 32;

/** Something in the file is not as it must be. */
class Unsound extends Error {}

/**
 * The newer meta of an open file of this size.
 *
 * @returns what is wrong with it, as text, when it cannot be one.
 */
export function readMeta(file: number, size: number): FileMeta | string {
  try {
    const first = metaAt(file, 0);
    const second = metaAt(file, first.pageSize);
    if (second.pageSize !== first.pageSize) return "its two heads differ";
    const newer = second.transaction > first.transaction ? second : first;
    for (const { root } of [newer.free, newer.main]) {
      if (root !== undefined && (root > newer.lastPage || (root + 1) * newer.pageSize > size)) {
        return "it ends before its root";
      }
    }
    return newer;
  } catch (error) {
    if (error instanceof Unsound) return error.message;
    throw error;
  }
}

/** Reads every page but the insides of overflows. @returns what is wrong, as text */
export function checkFile(file: number, size: number, visit: VisitItem): string | undefined {
  const meta = readMeta(file, size);
  if (typeof meta === "string") return meta;
  try {
    const pages = new Pages(file, meta);
    const items = new TreeCheck(pages, meta.main, (one, other) => Buffer.compare(one, other));
    items.run((key, seen, length) => visit(key, seen, length));
    const lists: number[] = [];
    new TreeCheck(pages, meta.free, byNumber).run((_key, _seen, length, value) => {
      lists.push(...freePages(value(), length));
    });
    for (const page of lists) pages.claim(page, 1);
    return undefined;
  } catch (error) {
    if (error instanceof Error) return error.message;
    throw error;
  }
}

function metaAt(file: number, at: number): FileMeta {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(file, bytes, 0, META_BYTES, at) !== META_BYTES) throw new Unsound("it ends in its head");
  if (bytes.readUInt16LE(18) !== META || bytes.readUInt32LE(24) !== MAGIC) throw new Unsound("it is no LMDB file");
  const version = bytes.readUInt32LE(28) & 0xffff;
  if (version !== VERSION) throw new Unsound(`it is of version ${version} of LMDB's format`);
  const pageSize = bytes.readUInt32LE(48);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0)
    throw new Unsound("its head is damaged");
  const transaction = numberAt(bytes, 152);
  const slot = at === 0 ? 0 : 1;
  if (transaction !== 0 && transaction % 2 !== slot) throw new Unsound("its head is damaged");
  const meta = {
    pageSize,
    lastPage: numberAt(bytes, 144),
    transaction,
    free: treeAt(bytes, 48),
    main: treeAt(bytes, 96),
  };
  if (meta.main.flags !== 0) throw new Unsound("its table is of another kind");
  return meta;
}

function treeAt(bytes: Buffer, at: number): Tree {
  const root = bytes.readBigUInt64LE(at + 40);
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branches: numberAt(bytes, at + 8),
    leaves: numberAt(bytes, at + 16),
    overflows: numberAt(bytes, at + 24),
    entries: numberAt(bytes, at + 32),
    root: root === NO_PAGE ? undefined : numberAt(bytes, at + 40),
  };
}

function numberAt(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > 0xffff_ffff_ffffn) throw new Unsound("a number in it is out of range");
  return Number(value);
}

/** The pages of a file, each to be claimed once. */
class Pages {
  readonly size: number;
  readonly #file: number;
  readonly #count: number;
  readonly #claimed: Uint8Array;

  constructor(file: number, meta: FileMeta) {
    this.size = meta.pageSize;
    this.#file = file;
    this.#count = meta.lastPage + 1;
    this.#claimed = new Uint8Array(Math.ceil(this.#count / 8));
    this.claim(0, 2);
  }

  claim(first: number, count: number): void {
    if (first + count > this.#count) throw new Unsound("a page lies beyond its end");
    for (let page = first; page < first + count; page++) {
      const bit = 1 << (page & 7);
      const bits = this.#claimed[page >> 3] ?? 0;
      if ((bits & bit) !== 0) throw new Unsound("a page is used twice");
      this.#claimed[page >> 3] = bits | bit;
    }
  }

  read(page: number, count: number = 1): Buffer {
    const bytes = Buffer.allocUnsafe(count * this.size);
    if (readSync(this.#file, bytes, 0, bytes.length, page * this.size) !== bytes.length) {
      throw new Unsound("it ends before its last page");
    }
    if (numberAt(bytes, 0) !== page) throw new Unsound("a page is not the one it should be");
    return bytes;
  }
}

type VisitNode = (key: Buffer, seen: Buffer, size: number, whole: () => Buffer) => void;

/** Walks a tree in order. */
class TreeCheck {
  readonly #pages: Pages;
  readonly #tree: Tree;
  readonly #compare: (one: Buffer, other: Buffer) => number;
  #branches = 0;
  #leaves = 0;
  #overflows = 0;
  #entries = 0;
  #last: Buffer | undefined;
  /** The keys that follow must not be lower. */
  #lowest: Buffer | undefined;

  constructor(pages: Pages, tree: Tree, compare: (one: Buffer, other: Buffer) => number) {
    this.#pages = pages;
    this.#tree = tree;
    this.#compare = compare;
  }

  run(visit: VisitNode): void {
    const { root, depth, branches, leaves, overflows, entries } = this.#tree;
    if (depth > MAX_DEPTH || (root === undefined) !== (depth === 0)) throw new Unsound("a tree's depth is wrong");
    if (root !== undefined) this.#walk(root, depth, visit);
    const counted = [this.#branches, this.#leaves, this.#overflows, this.#entries];
    if ([branches, leaves, overflows, entries].some((count, index) => count !== counted[index])) {
      throw new Unsound("a tree is not of the size it should be");
    }
  }

  #walk(number: number, depth: number, visit: VisitNode): void {
    this.#pages.claim(number, 1);
    const page = this.#pages.read(number);
    const flags = page.readUInt16LE(18);
    if (flags !== (depth === 1 ? LEAF : BRANCH)) throw new Unsound("a page is of the wrong kind");
    const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)];
    if (lower > upper || upper > page.length - HEAD || lower % 2 !== 0) throw new Unsound("a page's head is damaged");
    if (depth === 1) this.#leaves += 1;
    else this.#branches += 1;
    for (let index = 0; index < lower / 2; index++) {
      const node = HEAD + page.readUInt16LE(HEAD + index * 2);
      if (node < HEAD + upper || node + NODE > page.length) throw new Unsound("a node lies outside its page");
      const valueAt = node + NODE + page.readUInt16LE(node + 6);
      if (valueAt > page.length) throw new Unsound("a key ends outside its page");
      const key = page.subarray(node + NODE, valueAt);
      if (depth === 1) this.#leafNode(page, node, key, visit);
      else this.#branchNode(page, node, key, index, depth, visit);
    }
  }

  #branchNode(page: Buffer, node: number, key: Buffer, index: number, depth: number, visit: VisitNode): void {
    // The first child takes everything below the second, so its key is not looked at.
    if (index > 0) {
      if (this.#last !== undefined && this.#compare(this.#last, key) >= 0)
        throw new Unsound("its keys are out of order");
      this.#lowest = Buffer.from(key);
    }
    const child =
      page.readUInt16LE(node) + page.readUInt16LE(node + 2) * 65_536 + page.readUInt16LE(node + 4) * 2 ** 32;
    this.#walk(child, depth - 1, visit);
  }

  #leafNode(page: Buffer, node: number, key: Buffer, visit: VisitNode): void {
    const isFirst = this.#last === undefined;
    if (!isFirst && this.#compare(this.#last ?? key, key) >= 0) throw new Unsound("its keys are out of order");
    if (this.#lowest !== undefined && this.#compare(this.#lowest, key) > 0)
      throw new Unsound("its keys are out of order");
    this.#lowest = undefined;
    this.#last = Buffer.from(key);
    this.#entries += 1;
    const size = page.readUInt32LE(node);
    const flags = page.readUInt16LE(node + 4);
    const valueAt = node + NODE + key.length;
    if (flags === 0) {
      if (valueAt + size > page.length) throw new Unsound("a value ends outside its page");
      const value = page.subarray(valueAt, valueAt + size);
      visit(key, value, size, () => value);
      return;
    }
    if (flags !== BIG || valueAt + HEAD > page.length) throw new Unsound("a value is of an unknown kind");
    const [first, count] = [numberAt(page, valueAt), numberAt(page, valueAt + 16)];
    if (count !== Math.floor((HEAD - 1 + size) / this.#pages.size) + 1) throw new Unsound("a value's size is wrong");
    this.#pages.claim(first, count);
    this.#overflows += count;
    const head = this.#pages.read(first);
    if (head.readUInt16LE(18) !== OVERFLOW || head.readUInt32LE(20) !== count) {
      throw new Unsound("an overflow page's head is damaged");
    }
    const whole = (): Buffer => this.#pages.read(first, count).subarray(HEAD, HEAD + size);
    visit(key, head.subarray(HEAD, HEAD + size), size, whole);
  }
}

function byNumber(one: Buffer, other: Buffer): number {
  return numberAt(one, 0) - numberAt(other, 0);
}

/** A list of free pages: their count, then numbers, of which a negative one is the length of a block that the next begins; 0 is none. */
function freePages(value: Buffer, size: number): number[] {
  const pages: number[] = [];
  const count = size < 8 ? Number.NaN : numberAt(value, 0);
  if (!(8 + count * 8 <= size)) throw new Unsound("a list of free pages is damaged");
  for (let index = 1; index <= count; index++) {
    const number = value.readBigInt64LE(index * 8);
    if (number >= 0n) {
      if (number > 0n) pages.push(numberAt(value, index * 8));
      continue;
    }
    index += 1;
    const first = index <= count ? numberAt(value, index * 8) : Number.NaN;
    const length = Number(-number);
    if (!(length <= 2 ** 32)) throw new Unsound("a list of free pages is damaged");
    for (let page = first; page < first + length; page++) pages.push(page);
  }
  return pages;
}
