import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "vitest";
import { lmdb } from "../../src/lmdb/index.js";
import { sharedTierSuite } from "../../src/testing/index.js";
import { lmdbFolder } from "../support/lmdb-folder.js";

sharedTierSuite(
  "LMDB",
  async () => {
    const folder = lmdbFolder();
    return {
      // A factory each: an environment of its own, which hears of the others' doings as another process does.
      open: (cacheName, bounds) => lmdb({ path: folder.path, ...bounds }).open(cacheName),
      flush: () => folder.clear(),
      trimLog: async () => folder.trimLog(),
      pass: (ms) => sleep(ms),
      close: async () => folder.remove(),
    };
  },
  { describe, it },
);
