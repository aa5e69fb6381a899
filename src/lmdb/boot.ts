import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** What tells one start of the machine from another; the same in all its processes. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Elsewhere by the time of it, in minutes: a start more than one looks like makes the file start empty once too often.
    return `up since ${Math.round((Date.now() / 1_000 - uptime()) / 60)}`;
  }
}
