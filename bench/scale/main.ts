import { asMarkdown, scaleTables } from "./tables.js";

/* The tables of docs/scale.md on stdout; as JSON with --json. */

if (process.argv.includes("--json")) console.log(JSON.stringify(scaleTables(), undefined, 2));
else for (const table of scaleTables()) console.log(`${table.name}\n\n${asMarkdown(table)}\n`);
