import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { CacheInspector } from "../inspect/inspector.js";
import { markText } from "../invalidation/mark-text.js";
import type { Mark } from "../invalidation/record.js";
import { asksTags } from "../inspect/mark-matcher.js";
import type { AdminActor } from "./options.js";
import { RingBuffer } from "./ring-buffer.js";
import { marksOf, type AdminTarget } from "./target.js";

/** What a purge would hit, counted a moment ago. */
export interface PurgePreview {
  /** Runs this purge, once, within two minutes. */
  readonly token: string;
  readonly cache: string;
  readonly target: AdminTarget;
  readonly marks: readonly string[];
  readonly soft: boolean;
  readonly memory: TierCount | undefined;
  readonly shared: TierCount | undefined;
  /** Up to 20 keys. */
  readonly sample: readonly string[];
  /** What must be typed to run it; `undefined` when nothing must. */
  readonly confirm: string | undefined;
}

/** `entries` of `examined`; more may be there where it is not `complete`. */
export interface TierCount {
  readonly entries: number;
  readonly bytes: number | undefined;
  readonly examined: number;
  readonly complete: boolean;
  readonly problem: "none" | "unlisted" | "down" | undefined;
}

export interface PurgeResult {
  readonly position: number;
  /** Entries of the target in this process's memory the moment before. */
  readonly memory: number | undefined;
  /** Of the keys that were named, how many were stored. */
  readonly hit: number;
}

/** One line of the audit. */
export interface AuditLine {
  readonly time: string;
  readonly event: "purge-started" | "purge-done" | "purge-failed";
  readonly actor: string;
  readonly role: string;
  readonly cache: string;
  readonly target: AdminTarget;
  readonly marks: readonly string[];
  readonly soft: boolean;
  readonly previewed: { readonly memory: number | undefined; readonly shared: number | undefined };
  readonly actual?: PurgeResult | undefined;
  readonly error?: string | undefined;
}

const SAMPLE = 20;
const VALID_FOR = 120_000;
const MOST_PREVIEWS = 200;
const AUDIT_KEPT = 500;
/** Keys a preview looks at: names are cheap, tags mean reading entries. */
const MOST_KEYS = 100_000;
const MOST_TAGGED = 10_000;
const MOST_HELD = 1_000_000;

interface Kept {
  readonly preview: PurgePreview;
  readonly marks: readonly Mark[];
  readonly actor: string;
  readonly until: number;
}

/** Purges: looked at first, run as they were looked at, and written down. */
export class Purges {
  readonly #clock: Clock;
  readonly #audit: (line: string) => void;
  readonly #previews = new Map<string, Kept>();
  readonly #lines = new RingBuffer<AuditLine>(AUDIT_KEPT);

  constructor(clock: Clock, audit: (line: string) => void) {
    this.#clock = clock;
    this.#audit = audit;
  }

  /** @throws CacheError `ERR_CACHE_KEY` for what is no target. */
  async preview(
    inspector: CacheInspector,
    target: AdminTarget,
    soft: boolean,
    actor: AdminActor,
  ): Promise<PurgePreview> {
    const marks = marksOf(inspector, target);
    const [memory, shared] = await Promise.all([
      inspector.memory({ marks, sample: SAMPLE, most: MOST_HELD }),
      inspector.shared({ marks, sample: SAMPLE, most: asksTags(marks) ? MOST_TAGGED : MOST_KEYS }),
    ]);
    const preview: PurgePreview = {
      token: randomBytes(18).toString("base64url"),
      cache: inspector.cacheName,
      target,
      marks: marks.slice(0, SAMPLE).map(markText),
      soft,
      memory: memory && { ...countOf(memory), bytes: memory.bytes, problem: undefined },
      shared: shared.problem === "none" ? undefined : { ...countOf(shared), bytes: undefined, problem: shared.problem },
      sample: [...new Set([...(memory?.sample ?? []).map(({ key }) => key), ...shared.keys])].slice(0, SAMPLE),
      confirm: target.kind === "all" ? inspector.cacheName : undefined,
    };
    this.#previews.set(preview.token, {
      preview,
      marks,
      actor: actor.name,
      until: this.#clock.now() + VALID_FOR,
    });
    if (this.#previews.size > MOST_PREVIEWS) {
      const oldest = this.#previews.keys().next();
      if (oldest.done !== true) this.#previews.delete(oldest.value);
    }
    return preview;
  }

  /** What the token stands for, if it is this actor's and still good; it is not taken. */
  find(token: string, actor: AdminActor): PurgePreview | undefined {
    const kept = this.#previews.get(token);
    return kept !== undefined && kept.actor === actor.name && this.#clock.now() < kept.until ? kept.preview : undefined;
  }

  /** Runs what was previewed. @throws CacheError `ERR_CACHE_TIER` when the shared tier has not acknowledged it. */
  async run(inspector: CacheInspector, preview: PurgePreview, actor: AdminActor): Promise<PurgeResult> {
    const kept = this.#previews.get(preview.token);
    if (kept === undefined) throw new CacheError("ERR_CACHE_KEY", "Expected a purge that was previewed");
    this.#previews.delete(preview.token);
    const { marks } = kept;
    this.#write("purge-started", preview, actor);
    try {
      const held = await inspector.memory({ marks, sample: 0, most: MOST_HELD });
      const { position, hit } = await inspector.purge(marks, { soft: preview.soft });
      const actual = { position, hit, memory: held?.entries };
      this.#write("purge-done", preview, actor, { actual });
      return actual;
    } catch (error) {
      this.#write("purge-failed", preview, actor, { error: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }

  /** Newest first. */
  audit(): readonly AuditLine[] {
    return this.#lines.items().toReversed();
  }

  #write(
    event: AuditLine["event"],
    { cache, target, marks, soft, memory, shared }: PurgePreview,
    actor: AdminActor,
    more: Pick<AuditLine, "actual" | "error"> = {},
  ): void {
    const line: AuditLine = {
      time: new Date(this.#clock.wall()).toISOString(),
      event,
      actor: actor.name,
      role: actor.role,
      cache,
      target,
      marks,
      soft,
      previewed: { memory: memory?.entries, shared: shared?.entries },
      ...more,
    };
    this.#lines.push(line);
    // What cannot be written down does not happen: the caller of a purge is told.
    this.#audit(`${JSON.stringify(line)}\n`);
  }
}

function countOf({ entries, examined, complete }: Pick<TierCount, "entries" | "examined" | "complete">): {
  entries: number;
  examined: number;
  complete: boolean;
} {
  return { entries, examined, complete };
}
