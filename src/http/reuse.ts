import type { Directives } from "./cache-control.js";
import { currentAge, freshnessLifetime, type CacheKind, type Timed } from "./freshness.js";
import { responseDirectives } from "./targeted.js";

/** What may be done with a stored response for a request (RFC 9111 §4). */
export type Reuse =
  /** Served as it is; seconds of freshness that are left, below 0 when the request takes it stale. */
  | { readonly verdict: "serve"; readonly left: number }
  /** Served stale while it is validated (RFC 5861 §3). */
  | { readonly verdict: "serve-and-revalidate"; readonly left: number }
  /** Validated first. */
  | { readonly verdict: "validate"; readonly left: number; readonly asked: boolean };

/**
 * Whether a stored response answers a request without the origin being asked.
 *
 * @param outdated invalidated softly: stale, whatever it says of itself.
 */
export function reuseOf(stored: Timed, request: Directives, now: number, kind: CacheKind, outdated: boolean): Reuse {
  const { directives } = responseDirectives(stored.fields, kind.targets);
  const age = currentAge(stored, now);
  const lifetime = outdated ? Math.min(age, freshnessLifetime(stored, kind)) : freshnessLifetime(stored, kind);
  const left = (lifetime - age) / 1_000;
  if (request.noCache !== undefined) return { verdict: "validate", left, asked: true };
  if (directives.noCache === "all") return { verdict: "validate", left, asked: false };
  const isTooOld = request.maxAge !== undefined && age / 1_000 > request.maxAge;
  const isTooStale = request.minFresh !== undefined && left < request.minFresh;
  // Stale exactly when its age has reached its lifetime (§4.2).
  if (left > 0 && !isTooOld && !isTooStale) return { verdict: "serve", left };
  const mayBeStale = !forbidsStale(directives, kind.shared);
  if (left > 0) {
    // Fresh and yet not fresh enough: past its own max-age a request may take it by max-stale (§5.2.1.1).
    const over = isTooOld ? age / 1_000 - (request.maxAge ?? 0) : Number.POSITIVE_INFINITY;
    const takes = mayBeStale && !isTooStale && over <= (request.maxStale ?? -1);
    return takes ? { verdict: "serve", left } : { verdict: "validate", left, asked: true };
  }
  const allowed = mayBeStale && !isTooOld && !isTooStale;
  if (allowed && -left <= (request.maxStale ?? -1)) return { verdict: "serve", left };
  return staleUnasked(directives, request, left, allowed);
}

function staleUnasked(directives: Directives, request: Directives, left: number, allowed: boolean): Reuse {
  const window = directives.staleWhileRevalidate ?? 0;
  if (allowed && window > 0 && -left <= window) return { verdict: "serve-and-revalidate", left };
  return { verdict: "validate", left, asked: request.maxAge !== undefined || request.minFresh !== undefined };
}

/** Whether it must not be served stale, whatever happens (§4.2.4, §5.2.2). */
export function forbidsStale(directives: Directives, shared: boolean): boolean {
  if (directives.mustRevalidate || directives.noCache === "all" || directives.noStore) return true;
  return shared && (directives.proxyRevalidate || directives.sMaxage !== undefined);
}

/** How an attempt to reach the origin failed. */
export type Failure = "disconnected" | "status";

/** Whether a stored response may stand in for an origin that failed (§4.2.4, RFC 5861 §4). */
export function servesOnError(
  stored: Timed,
  request: Directives,
  now: number,
  kind: CacheKind & { readonly staleOnDisconnect: boolean },
  failure: Failure,
): boolean {
  const { directives } = responseDirectives(stored.fields, kind.targets);
  if (forbidsStale(directives, kind.shared) || request.noCache !== undefined) return false;
  const staleness = (currentAge(stored, now) - freshnessLifetime(stored, kind)) / 1_000;
  const window = Math.max(directives.staleIfError ?? -1, request.staleIfError ?? -1);
  if (staleness <= window) return true;
  // Where the origin has said for how long, no longer.
  return failure === "disconnected" && kind.staleOnDisconnect && directives.staleIfError === undefined;
}

/** How long after its freshness the response itself lets it be of use; seconds. */
export function staleWindows(stored: Timed, targets: readonly string[]): number {
  const { directives } = responseDirectives(stored.fields, targets);
  return Math.max(directives.staleWhileRevalidate ?? 0, directives.staleIfError ?? 0);
}
