import type { Cache } from "../../api.js";
import { recordTrace } from "../../warm/trace.js";
import type { RecordFlags } from "../commands/record.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer } from "../../figures.js";
import { jsonText } from "../json-text.js";
import { pause } from "../pause.js";
import { closeModule, exported, loadModule, ModuleError } from "../load-module.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";

/** Writes the reads of a cache to a file that `tiercache simulate` and `tiercache plan` read. */
export async function record(path: string, flags: RecordFlags, terminal: Terminal): Promise<ExitCode> {
  const { share, most, hashKeys, out: file } = flags;
  const module = await loadModule(path);
  const cache = exported(module, "cache") as Cache | undefined;
  if (typeof cache?.on !== "function") throw new ModuleError(`Expected ${path} to export \`cache\`, a cache`);
  try {
    const recording = recordTrace(cache, file, { share, most, hashKeys });
    terminal.status(`recording to ${file}; Ctrl-C ends it`);
    // Without an end it is the user who ends it.
    await stoppable(({ signal }) => pause(flags.for ?? Number.POSITIVE_INFINITY, signal));
    terminal.status("");
    const { reads, dropped } = await recording.stop();
    const rest = dropped === 0 ? "" : `, ${integer(dropped)} dropped`;
    terminal.out(
      flags.json === true ? jsonText({ file, reads, dropped }) : `${file}: ${integer(reads)} reads${rest}\n`,
    );
    return EXIT.ok;
  } finally {
    await closeModule(module, [cache]);
  }
}
