import type { Cache, InvalidationTarget } from "../api.js";
import type { ScopeInput } from "../keys.js";
import type { Declaration, DeclaredWrite } from "./declaration.js";
import { invalidateAfter, type WriteOutcome } from "./invalidate-after.js";
import type { TargetMethod } from "./reads.js";
import { idsOf, targetsOfAll, targetsOfRows } from "./rows.js";

/** Runs a declared write, then drops what it touched. */
export async function write(
  cache: Cache,
  declaration: Declaration,
  declared: DeclaredWrite,
  method: TargetMethod,
  args: readonly unknown[],
): Promise<unknown> {
  // Before the write: without its scope nothing of it could be invalidated.
  const scope = declared.scope(args);
  return invalidateAfter(
    cache,
    () => method(...args),
    (outcome) => [
      ...touched(declaration, declared, args, outcome, scope),
      ...declared.invalidates(outcome.resolved ? outcome.result : undefined, args),
    ],
    targetsOfAll(declaration.name, scope),
  );
}

function touched(
  declaration: Declaration,
  declared: DeclaredWrite,
  args: readonly unknown[],
  outcome: WriteOutcome<unknown>,
  scope: ScopeInput | undefined,
): readonly InvalidationTarget[] {
  const { name, traits } = declaration;
  if (declared.kind === "all") return targetsOfAll(name, scope);
  const named = declared.ids(args);
  const rows = outcome.resolved ? declared.rows(outcome.result) : [];
  const found = idsOf(traits, rows);
  // Nothing says which rows, or not of all of them: any entry may hold one. A row just created is in none.
  const unnamed = named.length === 0 && (found.length === 0 || found.length < rows.length);
  if (declared.kind === "change" && unnamed) return targetsOfAll(name, scope);
  return targetsOfRows(name, [...named, ...found], scope);
}
