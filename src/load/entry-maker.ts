import type { Clock } from "../clock.js";
import type { EntryFields } from "../entries/entry.js";
import { newStamp } from "../entries/envelope.js";
import { lifetime } from "../entries/held.js";
import type { ResolvedPolicy } from "../policy.js";
import { resolveTtl } from "../schedule.js";
import type { Kept, LocalEntries } from "../tiers/local-entries.js";
import type { ReadSpec } from "./shared-entries.js";

/** What a new entry is made from, besides its value. */
export interface Making {
  /** The value, made safe already; else it is now. */
  readonly kept: Kept | undefined;
  /** How long it is fresh, if its maker has decided; milliseconds. */
  readonly ttl: number | undefined;
  /** Canonical; doubles are dropped. */
  readonly tags: readonly string[];
  readonly etag: string | undefined;
  readonly loadCost: number;
  readonly position: number;
}

/** A new entry, stored nowhere yet. */
export interface MadeEntry {
  readonly kept: Kept;
  readonly fields: EntryFields;
}

/** An entry as a shared tier takes it. */
export interface SharedForm {
  readonly bytes: Uint8Array;
  /** How long it is fresh there; milliseconds. */
  readonly ttl: number;
  /** How long the tier keeps it; whole milliseconds, 1 or more. */
  readonly life: number;
}

/** Makes entries of values, from loads and from writes alike. */
export class EntryMaker {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #local: LocalEntries;

  constructor(parts: { clock: Clock; random: () => number; local: LocalEntries }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#local = parts.local;
  }

  /**
   * An entry whose `ttl` may have come out 0: such a one is not to be stored.
   *
   * @throws CacheError `ERR_CACHE_VALUE`; whatever a ttl of the caller's throws.
   */
  make(path: string, value: unknown, spec: ReadSpec, making: Making): MadeEntry {
    const kept = making.kept ?? this.#local.secure(value);
    const { policy, fingerprint } = spec;
    const fields: EntryFields = {
      value: kept.value,
      stamp: newStamp(),
      ttl: this.#ttl(path, value, policy, making.ttl),
      staleWhileRevalidate: policy.staleWhileRevalidate,
      staleIfError: policy.staleIfError,
      loadCost: making.loadCost,
      position: making.position,
      tags: [...new Set(making.tags)],
      fingerprint,
      etag: making.etag,
      sliding: policy.sliding,
    };
    return { kept, fields };
  }

  /** Rejects with CacheError `ERR_CACHE_VALUE` for what only memory could hold. */
  async encode(path: string, fields: EntryFields, { policy, form }: ReadSpec): Promise<SharedForm> {
    const stored = { ...fields, ttl: Math.min(fields.ttl, policy.sharedTtl) };
    const encoded = form.encode(path, stored, this.#clock.wall());
    const bytes = encoded instanceof Uint8Array ? encoded : await encoded;
    return { bytes, ttl: stored.ttl, life: Math.max(1, Math.ceil(lifetime(stored))) };
  }

  /** The maker's word, else the policy's, capped and jittered. */
  #ttl(path: string, value: unknown, policy: ResolvedPolicy, decided: number | undefined): number {
    const negative = value === null || value === undefined ? policy.negativeTtl : undefined;
    const ttl = Math.min(decided ?? negative ?? resolveTtl(policy.ttl, value, path, this.#clock.wall()), policy.maxTtl);
    return policy.jitter === 0 ? ttl : ttl * (1 - policy.jitter * this.#random());
  }
}
