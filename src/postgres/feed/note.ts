import type { Facts, History } from "./facts.js";
import { formatLsn, parseLsn } from "./lsn.js";
import { isVisible } from "./snapshot.js";

/**
 * How far the process that reads the slot has come, as it tells the others of its cache.
 *
 * Everything that committed before `lsn` is published, but for the transactions `except`, which nobody saw yet. The slot is
 * never acknowledged beyond the newest note: a slot that stands further was moved, or made anew, by somebody else.
 */
export interface Note extends History {
  readonly lsn: bigint;
  readonly except: readonly bigint[];
  readonly started: string;
  /** The digests of the tables it listens to. */
  readonly tables: Readonly<Record<string, string>>;
}

/** Most transactions a note excepts; with more of them it is not written. */
export const MAX_EXCEPT = 1_000;

export function writeNote(note: Note): string {
  const { lsn, except, ...rest } = note;
  return JSON.stringify({ v: 1, ...rest, lsn: formatLsn(lsn), except: except.map(String) });
}

/** @returns undefined for what is not a note: then nothing is known. */
export function readNote(text: string | undefined): Note | undefined {
  if (text === undefined) return undefined;
  try {
    const found = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const { v, system, timeline, started, lsn, except, tables } = found;
    if (v !== 1 || typeof system !== "string" || typeof timeline !== "string" || typeof started !== "string")
      return undefined;
    if (!Array.isArray(except) || typeof tables !== "object" || tables === null) return undefined;
    return {
      system,
      timeline,
      started,
      lsn: parseLsn(lsn),
      except: except.map((xid) => BigInt(String(xid))),
      tables: tables as Readonly<Record<string, string>>,
    };
  } catch {
    return undefined;
  }
}

/** Whether everything that was committed and seen when the facts were taken is published, by what the note says. */
export function covers(note: Note, facts: Facts): boolean {
  return (
    isSameHistory(note, facts) &&
    note.lsn >= facts.lsn &&
    note.except.every((xid) => !isVisible(xid, facts.snapshot)) &&
    Object.keys(facts.tables).every((table) => Object.hasOwn(note.tables, table))
  );
}

export function isSameHistory(one: History, other: History): boolean {
  return one.system === other.system && one.timeline === other.timeline;
}

/**
 * Why changes may have passed unseen between the note and now; `undefined` when none can have.
 *
 * @param facts taken when the slot is ours and nothing has been acknowledged by us.
 */
export function gapSince(note: Note | undefined, facts: Facts): string | undefined {
  if (note === undefined) return "nothing is known of what was published before";
  if (!isSameHistory(note, facts)) return "the database has another history: it failed over or was restored";
  if (facts.lsn < note.lsn) return "the log of the database went back: it was restored";
  if (facts.slot === undefined || facts.slot.confirmed > note.lsn) return "the slot was made anew or moved";
  if (note.started !== facts.started && facts.lossy)
    return "the database restarted, and synchronous_commit is off: commits that were seen may be lost";
  return undefined;
}
