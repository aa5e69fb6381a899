import type { RedisServer } from "../test/support/redis-server.js";
import type { CaseResult } from "./report.js";
import type { Plan } from "./slices.js";

/** What a case is given. */
export interface Setting {
  /** Whether a rough answer will do. */
  readonly quick: boolean;
  readonly plan: Plan;
  /** Started when the first case asks for it; ended by whoever runs the suite. */
  redis(): Promise<RedisServer>;
}

/** Named cases, each of which gives one or more tables. */
export type Suite = Readonly<Record<string, (setting: Setting) => Promise<readonly CaseResult[]>>>;
