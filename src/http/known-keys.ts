import { key, type Key, type Segment } from "../keys.js";
import { urlKey } from "./url-key.js";

/** A URL's key: as segments, to which a variant's are added, and encoded. */
export interface KnownKey {
  readonly segments: readonly Segment[];
  readonly path: Key;
}

/** Keys of URLs that are met again: encoding one is a good part of a hit. They are kept as long as the URL object is. */
export class KnownKeys {
  readonly #room: string;
  readonly #keys = new WeakMap<URL, KnownKey>();
  /** Templates of so many segments, with nothing but the colons between them. */
  readonly #templates = new Map<number, TemplateStringsArray>();

  constructor(room: string) {
    this.#room = room;
  }

  /** @param url not to be changed any more. */
  of(url: URL): KnownKey {
    const known = this.#keys.get(url);
    if (known !== undefined) return known;
    const segments = urlKey(this.#room, url);
    const made = { segments, path: key(this.#template(segments.length), ...segments) };
    this.#keys.set(url, made);
    return made;
  }

  #template(count: number): TemplateStringsArray {
    let template = this.#templates.get(count);
    if (template === undefined) {
      const texts = Array.from({ length: count + 1 }, (_, index) => (index === 0 || index === count ? "" : ":"));
      template = Object.assign(texts, { raw: texts });
      this.#templates.set(count, template);
    }
    return template;
  }
}
