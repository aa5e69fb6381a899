import type { Cache, InvalidationResult, Wrapped, WrapOptions } from "./api.js";
import { CacheError } from "./errors.js";
import type { TagInput } from "./dependency-tag.js";
import { encodeKey, Key, type KeyInput, type Segment } from "./keys.js";
import { display, optionError } from "./policy.js";

/** A cached version of `fn`: entries are `<name>:<arguments…>`. See `Cache.wrap`. */
export function wrap<A extends readonly unknown[], T>(
  cache: Cache,
  fn: (...args: A) => T | Promise<T>,
  options: WrapOptions<A, T>,
): Wrapped<A, T> {
  if (typeof fn !== "function") throw optionError("fn", "a function", fn);
  const { name, key: keyOf, tagsOf, ...loadOptions } = options;
  if (typeof name !== "string" || name === "") {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`name\` to be text that is not empty (two functions may have the same name, or none), got \`${display(name)}\``,
    );
  }
  const path = (args: A): readonly Segment[] => {
    const id: unknown = keyOf === undefined ? args : keyOf(...args);
    return [name, ...segmentsOf(id as KeyInput | A)];
  };
  const loader =
    (args: A) =>
    async (context: { tags(...tags: readonly TagInput[]): void }): Promise<T> => {
      const value = await fn(...args);
      if (tagsOf !== undefined) context.tags(...tagsOf(value, ...args));
      return value;
    };
  // Async, so that a key that cannot be made is a rejection: what returns promises never throws.
  const wrapped = async (...args: A): Promise<T> => cache.getOrLoad(path(args), loader(args), loadOptions);
  return Object.assign(wrapped, {
    key: (...args: A): string => encodeKey(path(args)),
    invalidate: async (...args: A): Promise<InvalidationResult> => cache.invalidate({ key: path(args) }),
    invalidateAll: () => cache.invalidate({ prefix: [name] }),
    refresh: async (...args: A): Promise<T> => cache.refresh(path(args), loader(args), loadOptions),
    peek: (...args: A): T | undefined => cache.peek<T>(path(args)),
  });
}

function segmentsOf(id: KeyInput | readonly unknown[]): readonly Segment[] {
  if (Array.isArray(id)) return id as readonly Segment[];
  if (id instanceof Key) return [id.path];
  return [id as Segment];
}
