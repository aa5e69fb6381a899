import { formatHttpDate } from "../../src/http/dates.js";
import type { Fields } from "../../src/http/fields.js";
import type { CacheKind, Timed } from "../../src/http/freshness.js";

/** When everything happens. */
export const NOW: number = Date.UTC(2026, 0, 1);
/** What the rules depend on. */
export type Kind = CacheKind & {
  readonly setCookie: boolean;
  readonly staleOnDisconnect: boolean;
  readonly decoded: boolean;
  readonly negotiate: boolean;
};
export const PRIVATE: Kind = {
  shared: false,
  targets: [],
  setCookie: false,
  staleOnDisconnect: true,
  decoded: false,
  negotiate: true,
};
export const SHARED: Kind = { ...PRIVATE, shared: true, targets: ["cdn-cache-control"] };

/** A response with these fields that has just come. */
export function response(fields: Fields, status = 200): Timed {
  return { status, fields, requestTime: NOW, responseTime: NOW };
}
export const cc = (value: string): Fields => [["cache-control", value]];
/** The HTTP date so many seconds from `NOW`. */
export const date = (offset: number): string => formatHttpDate(NOW + offset * 1_000);
