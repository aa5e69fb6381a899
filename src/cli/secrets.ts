import { readFile } from "node:fs/promises";

import { CommandError } from "./command-error.js";
import { EXIT } from "./exit-codes.js";

/**
 * A secret, or an address that holds one: from the environment, or from the file that `<name>_FILE` names. Flags are seen by everybody on
 * a machine and kept by shells, so none holds a secret.
 */
export async function secretOf(name: string): Promise<string | undefined> {
  const value = process.env[name] ?? "";
  if (value !== "") return value;
  const file = process.env[`${name}_FILE`] ?? "";
  if (file === "") return undefined;
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new CommandError(EXIT.usage, `${name}_FILE: ${file} cannot be read`, { cause });
  }
}
