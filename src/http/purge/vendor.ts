import type { NormalTarget } from "./purger.js";

/** What came of one request. */
export type CallResult =
  | {
      readonly kind: "done";
      /** Targets of it that the vendor did not name in its answer. */ readonly missing?:
        | readonly NormalTarget[]
        | undefined;
    }
  | {
      readonly kind: "failed";
      readonly reason: string;
      /** It may go well another time. */
      readonly again: boolean;
      /** Not before so many milliseconds. */
      readonly after?: number | undefined;
    };

/** One request to a vendor. Sending it twice does what sending it once does. */
export interface PurgeCall {
  readonly targets: readonly NormalTarget[];
  /** What it takes of the rate. */
  readonly cost: number;
  /** Never rejects. */
  send(signal: AbortSignal): Promise<CallResult>;
}

/** What a vendor's interface can do, and how it is asked. */
export interface PurgeVendor {
  readonly name: string;
  /** Why it cannot purge this at all; `undefined` when it can. */
  refusal(target: NormalTarget): string | undefined;
  /** The requests for targets that it can purge, within its limits. A target may be in several, one for each server. */
  calls(targets: readonly NormalTarget[], soft: boolean): readonly PurgeCall[];
  /** Requests' cost in a second, the burst, and requests under way at once, unless the caller says otherwise. */
  readonly rate: { readonly perSecond: number; readonly burst: number; readonly concurrency: number };
}

/** Visible ASCII without a comma: what every vendor's header can carry as one tag. */
export function isTagText(tag: string, maxLength: number): boolean {
  return tag.length <= maxLength && /^[\x21-\x2b\x2d-\x7e]+$/.test(tag);
}

/** In pieces of at most `size`. */
export function chunks<T>(list: readonly T[], size: number): T[][] {
  const pieces: T[][] = [];
  for (let start = 0; start < list.length; start += size) pieces.push(list.slice(start, start + size));
  return pieces;
}

/** The targets of one kind. */
export function ofKind<K extends NormalTarget["kind"]>(
  targets: readonly NormalTarget[],
  kind: K,
): Extract<NormalTarget, { kind: K }>[] {
  return targets.filter((target): target is Extract<NormalTarget, { kind: K }> => target.kind === kind);
}
