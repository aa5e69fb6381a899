/*
 * How V8 lays out the objects we build. Assigning keys by computed name has traps, and a cache of rows
 * falls into each (Node 20; bytes an object, and nanoseconds to build and freeze it):
 *
 *   `{}` given more than some 16 keys becomes a hash table:    20 keys: 928 B, 870 ns
 *   an object with room for its keys from the start:           20 keys: 184 B, 236 ns   (as a literal has)
 *   integer keys are kept in an array up to the largest:       { "1000": x }: 12 KB
 *   the same held as a table:                                  { "1000": x }: 200 B
 *   each new list of keys gets a chain of maps, 80 B a key:     200 ids as keys: 25.1 KB
 *   the same made a hash table at once:                         200 ids as keys: 18.8 KB
 *
 * Spreading an object that has the room (`{ ...row }`) keeps it, but each such copy gets a map of its own when it
 * is frozen. So objects are made by constructors that only differ in how much room V8 plans for.
 */

/** An object with more keys is taken for a dictionary: its keys are its own and not those of a kind of row. */
const MAX_ROOM = 64;

/** An empty plain object to be given these keys, which are in an object's own order (integers first). */
export function objectFor(keys: readonly string[]): Record<string, unknown> {
  if (!isInteger(keys[0])) return emptyObject(keys.length);
  return keys.some((key) => isSparseKey(key, keys.length)) ? holdSparsely({}) : {};
}

/** An empty plain object with room for this many keys, none of them an integer. */
export function emptyObject(count: number): Record<string, unknown> {
  if (count === 0) return {};
  if (count > MAX_ROOM) return emptyDictionary();
  const Plain = (roomy[count] ??= prepare(count));
  return new Plain(false);
}

/** Deleting any but the newest property makes V8 give up the layout for a hash table. */
function emptyDictionary(): Record<string, unknown> {
  const object: Record<string, unknown> = { first: undefined, second: undefined };
  delete object["first"];
  delete object["second"];
  return object;
}

/** Whether an object would hold this key in its array and not with its names. */
export function isInteger(key: string | undefined): boolean {
  if (key === undefined) return false;
  const first = key.charCodeAt(0);
  return first >= 0x30 && first <= 0x39;
}

/** Whether an object of `count` keys would hold this one at the end of a mostly empty array. */
export function isSparseKey(key: string, count: number): boolean {
  return isInteger(key) && Number(key) > count * 4 + 16;
}

/** Makes an object without integer keys hold those to come as a table: one far off does, and it may go again. */
export function holdSparsely(object: Record<string, unknown>): Record<string, unknown> {
  object[FAR_KEY] = undefined;
  delete object[FAR_KEY];
  return object;
}

const FAR_KEY = "4000000000";

type Plain = new (isNever: boolean) => Record<string, unknown>;

/** By number of keys. What it holds never shows in an object. */
const roomy: (Plain | undefined)[] = [];

/**
 * V8 watches the first few objects of a constructor and then cuts the room to what they used: so a few are filled here, before
 * one that is abandoned half-way (corrupt bytes) can make it plan too little for good.
 */
function prepare(count: number): Plain {
  const Plain = constructor();
  for (let i = 0; i < 10; i++) {
    const object = new Plain(false);
    for (let key = 0; key < count; key++) object[`k${key}`] = undefined;
  }
  return Plain;
}

/** A constructor of plain objects. Each has its own plan, made from the number of assignments seen in its text. */
function constructor(): Plain {
  const Plain = function (this: Record<number, unknown>, isNever: boolean): void {
    if (!isNever) return;
    // oxfmt-ignore
    this[0] = this[1] = this[2] = this[3] = this[4] = this[5] = this[6] = this[7] =
    this[8] = this[9] = this[10] = this[11] = this[12] = this[13] = this[14] = this[15] =
    this[16] = this[17] = this[18] = this[19] = this[20] = this[21] = this[22] = this[23] =
    this[24] = this[25] = this[26] = this[27] = this[28] = this[29] = this[30] = this[31] =
    this[32] = this[33] = this[34] = this[35] = this[36] = this[37] = this[38] = this[39] =
    this[40] = this[41] = this[42] = this[43] = this[44] = this[45] = this[46] = this[47] =
    this[48] = this[49] = this[50] = this[51] = this[52] = this[53] = this[54] = this[55] =
    this[56] = this[57] = this[58] = this[59] = this[60] = this[61] = this[62] = this[63] =
    undefined;
  };
  Plain.prototype = Object.prototype;
  // A function is not typed as a constructor; this one is called as nothing else.
  return Plain as unknown as Plain;
}
