import { encodeName } from "../keys.js";

/** The key of a short text that a cache's processes share: `~note:feed`. No caller's key equals it. */
export function notePath(name: string): string {
  return `~note:${encodeName(name)}`;
}
