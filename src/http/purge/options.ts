import { display, optionError } from "../../policy.js";

/** @throws CacheError `ERR_CACHE_OPTION` unless it is text; a secret's value is not shown. */
export function textOption(value: unknown, option: string, isSecret = false): string {
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) return value;
  throw optionError(option, "visible ASCII text", isSecret && typeof value === "string" ? "…" : value);
}

/** One URL or several, without a path of their own. @throws CacheError `ERR_CACHE_OPTION`. */
export function serverUrls(value: unknown, option: string): readonly URL[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw optionError(option, "at least one URL", value);
  return list.map((one) => apiUrl(one, option));
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function apiUrl(value: unknown, option: string): URL {
  const text = value instanceof URL ? value.href : value;
  if (typeof text !== "string" || !/^https?:\/\//.test(text) || !URL.canParse(text)) {
    throw optionError(option, "a URL of http or https", value instanceof URL ? display(value.protocol) : value);
  }
  return new URL(text);
}

/** A header that a server asks for before it purges: `["x-purge-token", "…"]`. @throws CacheError `ERR_CACHE_OPTION`. */
export function headerOption(value: unknown, option: string): readonly [name: string, value: string] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length !== 2) throw optionError(option, "a name and a value", value);
  const [name, content] = value as readonly unknown[];
  if (typeof name !== "string" || !/^[\w-]+$/.test(name))
    throw optionError(option, "a field's name and its value", name);
  return [name.toLowerCase(), textOption(content, option, true)];
}
