import type { Suite } from "../suite.js";
import { bus } from "./bus.js";
import { fanOut } from "./fan-out.js";
import { fill } from "./fill.js";
import { getHit } from "./get-hit.js";
import { getMany } from "./get-many.js";
import { hostTier } from "./lmdb.js";
import { invalidateTag } from "./invalidate-tag.js";
import { values } from "./values.js";

/** What the shared tier costs, against the bare client. */
export const shared: Suite = {
  "get-hit": getHit,
  "get-many": getMany,
  fill,
  "invalidate-tag": invalidateTag,
  bus,
  "fan-out": fanOut,
  values,
  lmdb: hostTier,
};
