import type { Suite } from "../suite.js";
import { byId } from "./by-id.js";
import { bytes } from "./bytes.js";
import { churn } from "./churn.js";
import { curve } from "./curve.js";
import { evict } from "./evict.js";
import { hit } from "./hit.js";
import { sizing } from "./sizing.js";
import { zipfMix } from "./zipf-mix.js";

/** What the memory tier costs, in time and in bytes, against the libraries one would use instead. */
export const memory: Suite = { ...hit, ...evict, ...zipfMix, "by-id": byId, bytes, churn, curve, sizing };
