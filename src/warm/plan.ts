import type { Entity, WarmTask } from "../api.js";
import type { KeyInput } from "../keys.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";

/** What a step warms, one after the other. */
export type Items<I> = Iterable<I> | AsyncIterable<I>;

/** One thing of a step. */
export interface WarmItem {
  /** Tells it apart: decides whether it is in a share. */
  readonly key: string;
  readonly run: WarmTask;
  /** Where a query goes on after it; JSON. */
  readonly after?: unknown;
}

/** A part of a plan: things of one kind. */
export interface WarmStep {
  /** Names it in progress and cursors; unique in the plan. */
  readonly name: string;
  /** Steps of a higher one come first; of the same, as they are listed. */
  readonly priority: number;
  /** How many there are, where that is known. */
  readonly total: number | undefined;
  /** @param after of the last item that was warmed before a restart; then the items begin behind it if `goesOn`. */
  readonly items: (after: unknown) => AsyncIterable<WarmItem>;
  /** Whether `items` begins where it is told; otherwise so many are passed over. */
  readonly goesOn: boolean;
}

/** What the steps of a plan have in common. */
export interface StepOptions {
  /** Of two steps the one of the higher priority is warmed first. @default 0 */
  priority?: number | undefined;
  /** How many there are, for progress. @default the length of an array */
  total?: number | undefined;
}

export interface WarmPlanDefinition {
  /** Names its cursor: one plan, one name. */
  readonly name: string;
  readonly steps: readonly WarmStep[];
}

export interface EntityStepOptions extends StepOptions {
  /** Names the step. @default the entity's name */
  name?: string | undefined;
  /** Ids read together, by one `loadMany`. @default 1 */
  batch?: number | undefined;
}

/**
 * A step that reads entities by their ids: an iterable, or a query that gives them. A query is told the last id that was warmed
 * before a restart, to go on behind it (`where id > …`); an iterable is passed over that far, so its order must be the same.
 */
export function entityStep<Id extends KeyInput & (string | number), T>(
  entity: Entity<Id, T>,
  ids: Items<Id> | ((after: Id | undefined) => Items<Id>),
  options: EntityStepOptions = {},
): WarmStep {
  knownOptions(options, ["name", "batch", "priority", "total"], "entityStep");
  const batch = wholeNumber(options.batch ?? 1, "batch", 1);
  const { name = entity.name } = options;
  return {
    name,
    ...common(options, ids),
    goesOn: typeof ids === "function",
    items: (after) => byIds(entity, typeof ids === "function" ? ids(after as Id | undefined) : ids, batch),
  };
}

/** A step of tasks: queries and loaders, whatever goes through the cache. Their order must be the same in each run. */
export function taskStep(name: string, tasks: Items<WarmTask>, options: StepOptions = {}): WarmStep {
  knownOptions(options, ["priority", "total"], "taskStep");
  return { name, ...common(options, tasks), goesOn: false, items: () => numbered(name, tasks) };
}

/** A step of keys, hottest first: those of a trace (`readHotKeys`) or of the last run (`savedHotKeys`). */
export function keyStep(
  name: string,
  keys: Items<string> | (() => Promise<readonly string[]>),
  load: (key: string) => Promise<unknown>,
  options: StepOptions = {},
): WarmStep {
  knownOptions(options, ["priority", "total"], "keyStep");
  if (typeof load !== "function") throw optionError("load", "a function that reads a key through the cache", load);
  return { name, ...common(options, keys), goesOn: false, items: () => byKeys(keys, load) };
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function warmPlan(definition: WarmPlanDefinition): WarmPlanDefinition {
  const { name, steps } = definition;
  if (typeof name !== "string" || name === "") throw optionError("name", "text that is not empty", name);
  if (!Array.isArray(steps)) throw optionError("steps", "an array of steps", steps);
  const names = new Set<string>();
  for (const step of definition.steps) {
    if (names.has(step.name)) throw optionError("steps", "steps of different names", step.name);
    names.add(step.name);
  }
  return definition;
}

function common(options: StepOptions, items: unknown): Pick<WarmStep, "priority" | "total"> {
  const { priority = 0 } = options;
  if (!Number.isFinite(priority)) throw optionError("priority", "a number", priority);
  const total = options.total ?? (Array.isArray(items) ? items.length : undefined);
  return { priority, total };
}

async function* byIds<Id extends KeyInput & (string | number), T>(
  entity: Entity<Id, T>,
  ids: Items<Id>,
  batch: number,
): AsyncGenerator<WarmItem> {
  let together: Id[] = [];
  const itemOf = (some: readonly Id[]): WarmItem => {
    const [first] = some;
    const run = some.length === 1 ? () => entity.get(first as Id) : () => entity.getMany(some);
    return { key: entity.key(first as Id), run, after: some.at(-1) };
  };
  for await (const id of ids) {
    together.push(id);
    if (together.length < batch) continue;
    yield itemOf(together);
    together = [];
  }
  if (together.length > 0) yield itemOf(together);
}

async function* numbered(name: string, tasks: Items<WarmTask>): AsyncGenerator<WarmItem> {
  let at = 0;
  for await (const run of tasks) {
    yield { key: `${name}:${at}`, run };
    at += 1;
  }
}

async function* byKeys(
  keys: Items<string> | (() => Promise<readonly string[]>),
  load: (key: string) => Promise<unknown>,
): AsyncGenerator<WarmItem> {
  for await (const key of typeof keys === "function" ? await keys() : keys) yield { key, run: () => load(key) };
}
