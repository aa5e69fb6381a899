export { lmdb, LMDB_DEFAULTS, type LmdbOptions } from "./lmdb.js";
