import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { buildSite, llmsText, readPages } from "./docs/site.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const site = buildSite();

rmSync(join(root, "site"), { recursive: true, force: true });
for (const [address, text] of site) {
  const path = join(root, "site", address);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
writeFileSync(
  join(root, "llms.txt"),
  llmsText(readPages(), (file) => file),
);
console.log(`site/: ${site.size} files. Open site/index.html.`);
