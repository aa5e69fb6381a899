import { barrierInterval, noteName, WAITED_FOR, type FeedContext } from "./context.js";
import { askFacts, type Facts } from "./facts.js";
import { covers, isSameHistory, readNote, type Note } from "./note.js";

/** Barriers that wait for the leader's note. */
const MAX_BARRIERS = 50;

/**
 * Follows the process that reads the slot, until the slot is free: this one's barriers are over when the leader's note covers
 * them and everything published before is applied here.
 */
export async function standBy(context: FeedContext): Promise<void> {
  const { sink, clock, settings, database, mappings, news, signal, wake, waiters, figures } = context;
  figures.role = "standby";
  news.tell({ what: "standing-by", detail: { slot: settings.slot } });
  const every = barrierInterval(settings);
  let barriers: Facts[] = [];
  while (!signal.aborted) {
    const begun = clock.now();
    // The note before the facts: it can be behind them, and if it is ahead the log went back.
    const note = readNote(await sink.readNote(noteName(settings)));
    const facts = await askFacts(database, clock, settings.slot, settings.publication, mappings.tables);
    figures.retainedBytes = facts.slot?.retained ?? 0;
    if (facts.slot === undefined || !facts.slot.active || facts.slot.lost) return;
    if (note !== undefined && isUsable(note, facts, context)) {
      barriers.push(facts);
      if (barriers.length > MAX_BARRIERS) barriers = barriers.filter((_, at) => at % 2 === 0);
      figures.lagBytes = Number(facts.lsn > note.lsn ? facts.lsn - note.lsn : 0n);
      const newest = barriers.findLast((one) => covers(note, one));
      if (newest !== undefined && (await sink.catchUp())) {
        barriers = barriers.slice(barriers.indexOf(newest) + 1);
        sink.complete(newest.at);
        if (note.except.length === 0) waiters.completed(newest);
      }
    }
    await wake.pause(clock, waiters.any ? WAITED_FOR : Math.max(2, begun + every / 2 - clock.now()), signal);
  }
}

/** Whether the leader's note says anything about the database as this process sees it. */
function isUsable(note: Note, facts: Facts, { news }: FeedContext): boolean {
  if (!isSameHistory(note, facts) || facts.lsn < note.lsn) {
    news.repeat({
      what: "waiting",
      detail: { for: "the leader", because: "the database has another history than its note" },
    });
    return false;
  }
  const unheard = Object.keys(facts.tables).filter((table) => !Object.hasOwn(note.tables, table));
  if (unheard.length === 0) return true;
  news.repeat({
    what: "waiting",
    detail: { for: "the leader", because: `it does not listen to ${unheard.join(", ")}` },
  });
  return false;
}
