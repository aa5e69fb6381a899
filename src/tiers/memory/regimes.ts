/** A way to choose victims. A cache changes from one to another without moving what it holds. */
export interface Regime {
  /** Share of the capacity for newcomers, 0 to 1. With 1 there is nothing else: least recently used. */
  readonly window: number;
  /** Share of main for those that were used again in it, 0 to 1. With 0 main is one list in the order of use. */
  readonly protectedOfMain: number;
  /** How a newcomer gets from the window into main. */
  readonly admission:
    | {
        /** Its frequency exceeds the victim's by more than this. */
        readonly lead: number;
      }
    /** It has been evicted lately, and then goes there at once. */
    | "return"
    /** The same, or it is used while in the window. */
    | "return-or-use";
}

/**
 * What the policy chooses from, the one it starts with first.
 *
 * No rule is best everywhere; these are few and far apart, and each is clearly ahead of the others somewhere:
 *  - two generations told apart by ghosts, with a small window (2Q: Johnson, Shasha, VLDB 1994; ARC: Megiddo, Modha,
 *    FAST 2003; S3-FIFO: Yang et al., SOSP 2023): large caches, blocks of files, prefixes of prompts. Never far behind,
 *    so it is where one starts;
 *  - W-TinyLFU with a window of a tenth and of two fifths (Einziger, Eytan, Friedman, Manes, Middleware 2018): most
 *    web and database loads;
 *  - with one of a hundredth, where ties go to the resident: frequency alone, for loops longer than the cache. Just
 *    after an aging a candidate is one ahead of those not seen since, and each loop would turn over the whole cache;
 *  - least recently used: keys that are asked for twice, soon, and then never again.
 */
export const REGIMES: readonly Regime[] = [
  { window: 0.1, protectedOfMain: 0, admission: "return-or-use" },
  { window: 0.1, protectedOfMain: 0, admission: "return" },
  { window: 0.1, protectedOfMain: 0.8, admission: { lead: 0 } },
  { window: 0.4, protectedOfMain: 0.8, admission: { lead: 0 } },
  { window: 0.01, protectedOfMain: 0.8, admission: { lead: 1 } },
  { window: 1, protectedOfMain: 0.8, admission: { lead: 0 } },
];
