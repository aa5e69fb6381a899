import type { InvalidationTarget } from "../../api.js";

/** The tag of everything a cache holds of a view. */
export function viewTag(name: string): string {
  return `view:${name}`;
}

/** What a refresh's message in the log makes outdated. @throws SyntaxError for what is none. */
export function viewTargets(content: string): readonly InvalidationTarget[] {
  const { view } = JSON.parse(content) as { readonly view?: unknown };
  if (typeof view !== "string") throw new SyntaxError("Expected the message to name a view");
  return [{ tag: viewTag(view) }];
}
