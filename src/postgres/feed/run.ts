import { sqlState } from "../pg.js";
import type { FeedContext } from "./context.js";
import { askFacts } from "./facts.js";
import { lead, type LeadEnd } from "./leader.js";
import { findProblems, mendSetup, type SetupProblem } from "./setup.js";
import { createSlot, dropSlot } from "./slot.js";
import { standBy } from "./standby.js";
import { pause, Waits } from "./within.js";

/** Times in a row that the log cannot be read on from where the slot stands, after which the slot is given up. */
const STUCK = 3;

/** Raised when the database is not set up for a feed. */
class NotSetUp extends Error {
  override readonly name = "NotSetUp";
  readonly problems: readonly SetupProblem[];

  constructor(problems: readonly SetupProblem[]) {
    super(problems.map(({ message, sql }) => (sql === undefined ? message : `${message}: ${sql}`)).join("\n"));
    this.problems = problems;
  }
}

/** Leads or stands by, for ever, until the signal is aborted. */
export async function runFeed(context: FeedContext): Promise<void> {
  const { clock, news, signal, figures, settings } = context;
  const waits = new Waits(50, 5_000);
  let stuck = 0;
  let furthest = 0n;
  while (!signal.aborted) {
    try {
      const end = await serve(context, stuck >= STUCK);
      // What is not acknowledged yet comes again each time: only what is new is progress.
      const progressed = end === undefined || end.received > furthest;
      if (progressed) waits.reset();
      if (end !== undefined) {
        stuck = isUnreadable(end.error) && !progressed ? stuck + 1 : 0;
        if (progressed) furthest = end.received;
        if (!signal.aborted) news.tell({ what: "disconnected", detail: { slot: settings.slot }, error: end.error });
      }
    } catch (error) {
      if (signal.aborted) return;
      const state = sqlState(error);
      // Somebody has the slot: 55006. It, or we, will see it in the slot's state at once.
      if (state !== "55006") {
        stuck = isUnreadable(error) ? stuck + 1 : 0;
        figures.role = error instanceof NotSetUp ? "refused" : "connecting";
        news.repeat({
          what: error instanceof NotSetUp ? "refused" : "disconnected",
          detail: error instanceof NotSetUp ? { problems: error.problems } : { slot: settings.slot },
          error,
        });
      }
    }
    figures.reconnects += 1;
    if (figures.role === "leader" || figures.role === "standby") figures.role = "connecting";
    await pause(clock, waits.next(), signal);
  }
}

/** One turn as leader, or as standby (`undefined`). */
async function serve(context: FeedContext, giveUpSlot: boolean): Promise<LeadEnd | undefined> {
  const { clock, settings, database, mappings, signal } = context;
  const names = { publication: settings.publication, slot: settings.slot };
  const { slot } = await askFacts(database, clock, settings.slot, settings.publication, mappings.tables);
  if (slot?.active === true) {
    await standBy(context);
    return undefined;
  }
  const problems = await (settings.setup ? mendSetup : findProblems)(database, names, mappings);
  const refused = problems.filter(({ level }) => level === "refused");
  if (refused.length > 0) throw new NotSetUp(refused);
  if (slot !== undefined && (slot.lost || giveUpSlot))
    await dropSlot(
      context,
      slot.lost ? "the server removed the log it needs" : "the log cannot be read on from where it stands",
    );
  if (slot === undefined || slot.lost || giveUpSlot) await createSlot(context);
  if (signal.aborted) return undefined;
  return lead(context);
}

/** Whether it is the log itself that cannot be read, by the server or by us, and not the way to it. */
function isUnreadable(error: unknown): boolean {
  if (error instanceof RangeError) return true;
  const state = sqlState(error);
  // Connections (08), resources (53), objects in use (55) and operators (57) are the way to it.
  return state !== undefined && state !== "42501" && !["08", "53", "55", "57", "28", "3D"].includes(state.slice(0, 2));
}

/** Longest a query of the feed may take, in milliseconds. */
export function queryBound(maxStaleness: number): number {
  return Math.min(10_000, Math.max(5_000, maxStaleness));
}
