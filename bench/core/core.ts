import type { Suite } from "../suite.js";
import { entityGet } from "./entity-get.js";
import { l1Hit } from "./l1-hit.js";
import { l2Hit } from "./l2-hit.js";
import { miss } from "./miss.js";
import { peek } from "./peek.js";
import { stampede } from "./stampede.js";

/** What every read costs, against the libraries one would use instead. */
export const core: Suite = {
  "l1-hit": l1Hit,
  peek,
  "entity-get": entityGet,
  "l2-hit": l2Hit,
  stampede,
  miss,
};
