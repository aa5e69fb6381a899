import type { Suite } from "../suite.js";
import { flush } from "./flush.js";
import { lag } from "./lag.js";
import { rate } from "./rate.js";
import { viewModes } from "./view-modes.js";
import { writers } from "./writers.js";
import { wrong } from "./wrong.js";

/** What the change feed and views cost and do, on a PostgreSQL of their own. */
export const database: Suite = { lag, wrong, writers, rate, views: viewModes, flush };
