import type { Suite } from "../suite.js";
import { client } from "./client.js";
import { hits } from "./hits.js";
import { mechanics } from "./mechanics.js";
import { room } from "./room.js";

/** HTTP: hits of servers and clients, many at the same time, room. */
export const http: Suite = { hits, client, mechanics, room };
