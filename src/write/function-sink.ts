import type { ApplyChanges, Change, FlushBatch, FlushOutcome, RejectedChange, Sink } from "./sink.js";

/** Tries of a change alone until it is taken for poison while nothing else tells. */
const ATTEMPTS = 5;

/**
 * A sink over a function, for sources that cannot note a batch in the transaction that applies it: each change is applied
 * at least once.
 *
 * When the function throws, halves are tried, down to single changes. Those that fail while another succeeds are poison,
 * and rejected; when all fail the source is taken to be away, and what it threw is thrown. A change that is alone in its
 * batch is rejected when it has failed five times.
 */
export function functionSink(apply: ApplyChanges): Sink {
  const failures = new Map<string, number>();
  return {
    async apply(batch): Promise<FlushOutcome> {
      const { batchId, generation, seq } = batch;
      const context = { batchId, generation, seq };
      const changes = batch.changes();
      const failed: { readonly change: Change; readonly error: unknown }[] = [];
      const attempt = async (part: readonly Change[]): Promise<void> => {
        try {
          await apply(part, context);
        } catch (error) {
          const [change] = part;
          if (part.length === 1 && change !== undefined) {
            failed.push({ change, error });
            return;
          }
          const middle = part.length >>> 1;
          await attempt(part.slice(0, middle));
          await attempt(part.slice(middle));
        }
      };
      if (changes.length > 0) await attempt(changes);
      const allFailed = failed.length === changes.length && failed.length > 0;
      if (allFailed && !isGivenUp(batch, changes.length, failures)) throw failed[0]?.error;
      failures.clear();
      const rejected = failed.map(({ change, error }): RejectedChange => ({
        opIds: change.opIds,
        reason: error instanceof Error ? error.message : String(error),
      }));
      return { outcome: "applied", generation, seq, rejected, merged: [] };
    },
  };
}

function isGivenUp({ batchId }: FlushBatch, changes: number, failures: Map<string, number>): boolean {
  if (changes > 1) return false;
  const count = (failures.get(batchId) ?? 0) + 1;
  failures.clear();
  failures.set(batchId, count);
  return count >= ATTEMPTS;
}
