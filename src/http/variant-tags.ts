import type { Segment } from "../keys.js";

const MOST_URLS = 5_000;
/** Most tags of one URL's variants that are sent to the origin at once. */
const MOST_TAGS = 16;

interface Variant {
  readonly tag: string;
  readonly target: readonly Segment[];
}

/**
 * The strong entity tags of the variants that this process has stored, by URL: so that the origin can say of a variant that is
 * not stored that it is one that is (RFC 9111 §4.3.1). It only ever saves bytes, so it is no shared knowledge, and bounded.
 */
export class VariantTags {
  /** The URL stored last is the last. */
  readonly #urls = new Map<string, Variant[]>();

  remember(url: string, tag: string, target: readonly Segment[]): void {
    const others = (this.#urls.get(url) ?? []).filter((one) => one.tag !== tag).slice(-(MOST_TAGS - 1));
    this.#urls.delete(url);
    this.#urls.set(url, [...others, { tag, target }]);
    if (this.#urls.size <= MOST_URLS) return;
    const [oldest] = this.#urls.keys();
    if (oldest !== undefined) this.#urls.delete(oldest);
  }

  of(url: string): readonly Variant[] {
    return this.#urls.get(url) ?? [];
  }
}
