export { lmdbJournal, LMDB_JOURNAL_DEFAULTS, type LmdbJournalOptions } from "./journal.js";
export { lmdb, LMDB_DEFAULTS, type LmdbOptions } from "./lmdb.js";
