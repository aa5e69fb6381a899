import { journalSuite } from "../../test/support/journal-suite.js";
import { MemoryJournal } from "./memory-journal.js";

const server = new MemoryJournal();
journalSuite("memory", () => server.journal());
