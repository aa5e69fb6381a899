import type { Clock } from "../../clock.js";
import type { ViewDatabase } from "./view-database.js";
import type { ResolvedKeys, ResolvedView, RowChange } from "./view-definition.js";
import type { ChangedRows } from "./views.js";

/** Milliseconds between two notes: changes that come closer together are noted together. */
const PAUSE = 200;
/** Groups noted in one statement. */
const CHUNK = 5_000;

interface Noted {
  readonly names: Set<string>;
  /** Of views by groups: those that changed; `"all"` when nobody knows. */
  readonly keys: Map<string, Set<string> | "all">;
  readonly done: Promise<void>;
}

/**
 * Notes in the database which views lack a change, before the feed acknowledges it: whichever process refreshes the view
 * finds it there, though the one that heard of it has died.
 */
export class ViewChanges {
  readonly #views: readonly ResolvedView[];
  readonly #database: ViewDatabase;
  readonly #clock: Clock;
  readonly #ready: () => Promise<void>;
  readonly #onDirty: (names: readonly string[]) => void;
  readonly #onUnknown: (view: string, error: unknown) => void;
  readonly #stop: () => void;
  #notedAt = Number.NEGATIVE_INFINITY;
  #open: Noted | undefined;

  constructor(parts: {
    views: readonly ResolvedView[];
    feed: ChangedRows;
    database: ViewDatabase;
    clock: Clock;
    ready: () => Promise<void>;
    onDirty: (names: readonly string[]) => void;
    /** A view's `keysOf` threw: all its groups are made anew. */
    onUnknown: (view: string, error: unknown) => void;
  }) {
    this.#views = parts.views;
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#ready = parts.ready;
    this.#onDirty = parts.onDirty;
    this.#onUnknown = parts.onUnknown;
    const tables = new Set(parts.views.flatMap(({ tables: own }) => [...(own ?? [])]));
    const fixed = parts.views.flatMap(({ mode }) => (typeof mode === "object" ? mode.fixed : []));
    this.#stop = parts.feed.onRows(
      (changes, lost) => this.#hear(changes, lost),
      [...tables],
      [...new Set(fixed)],
      columnsRead(parts.views, tables),
    );
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#open?.done.catch(() => undefined);
  }

  #hear(changes: readonly RowChange[], lost: boolean): Promise<void> {
    let noted: Noted | undefined;
    for (const view of this.#views) {
      const hits = lost ? changes : changes.filter(({ table }) => view.tables?.has(table) !== false);
      if (!lost && hits.length === 0) continue;
      noted = this.#batch();
      noted.names.add(view.name);
      if (typeof view.mode === "object")
        noteKeys(noted, view.name, lost ? "all" : this.#keysOf(view.name, view.mode.keysOf, hits));
    }
    // Resolved when it is noted, also for changes that joined a note under way.
    return noted?.done ?? Promise.resolve();
  }

  /** The groups of changed rows; `"all"` when that cannot be told: a table was emptied, or the function throws. */
  #keysOf(view: string, group: ResolvedKeys["keysOf"], changes: readonly RowChange[]): readonly string[] | "all" {
    const keys: string[] = [];
    try {
      for (const change of changes) {
        if (change.kind === "truncate") return "all";
        for (const key of group(change)) if (key !== null && key !== undefined) keys.push(String(key));
      }
    } catch (error) {
      // Whatever it was about, making all anew is right.
      this.#onUnknown(view, error);
      return "all";
    }
    return keys;
  }

  #batch(): Noted {
    if (this.#open !== undefined) return this.#open;
    const names = new Set<string>();
    const keys: Noted["keys"] = new Map();
    const wait = Math.max(0, this.#notedAt + PAUSE - this.#clock.now());
    const done = new Promise<void>((resolve, reject) => {
      this.#clock.after(wait, () => {
        this.#open = undefined;
        this.#notedAt = this.#clock.now();
        this.#write(names, keys).then(resolve, reject);
      });
    });
    this.#open = { names, keys, done };
    return this.#open;
  }

  async #write(names: ReadonlySet<string>, keys: Noted["keys"]): Promise<void> {
    await this.#ready();
    // The groups first: a refresh that comes between finds them, and is only told later that it is needed again.
    for (const [name, groups] of keys) {
      if (groups === "all") continue;
      const list = [...groups];
      for (let start = 0; start < list.length; start += CHUNK)
        await this.#database.markKeys(name, list.slice(start, start + CHUNK));
    }
    const unknown = [...keys].filter(([, groups]) => groups === "all").map(([name]) => name);
    if (unknown.length > 0) await this.#database.markDirty(unknown, true);
    const known = [...names].filter((name) => !unknown.includes(name));
    if (known.length > 0) await this.#database.markDirty(known, false);
    this.#onDirty([...names]);
  }
}

function noteKeys(noted: Noted, name: string, keys: readonly string[] | "all"): void {
  const known = noted.keys.get(name);
  if (keys === "all" || known === "all") {
    noted.keys.set(name, "all");
    return;
  }
  const groups = known ?? new Set<string>();
  for (const key of keys) groups.add(key);
  noted.keys.set(name, groups);
}

/** By table, what the views read of its rows: of a table only refreshed as a whole its identity is enough. */
function columnsRead(views: readonly ResolvedView[], tables: ReadonlySet<string>): Record<string, readonly string[]> {
  const read: Record<string, readonly string[]> = {};
  for (const table of tables) {
    const keyed = views.filter((view) => view.tables?.has(table) !== false).flatMap(({ mode }) => keysIn(mode));
    const columns = keyed.map((mode) => mode.columns.get(table));
    // One that does not say may read any.
    if (columns.every((names) => names !== undefined)) read[table] = [...new Set(columns.flat())];
  }
  return read;
}

function keysIn(mode: ResolvedView["mode"]): readonly ResolvedKeys[] {
  return typeof mode === "object" ? [mode] : [];
}
