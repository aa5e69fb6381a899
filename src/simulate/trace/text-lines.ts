import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline, type Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import * as zlib from "node:zlib";
import { TraceError } from "./trace-error.js";

/** A longer line is no line of a trace. */
const LONGEST_LINE = 1 << 20;
const BLOCK = 1 << 18;

/** Lines of a file, some thousand at a time. */
export interface LineBlock {
  readonly lines: readonly string[];
  /** Bytes of the file read so far, as they are on disk. */
  readonly bytesRead: number;
}

/**
 * The bytes of a file.
 *
 * @throws TraceError `ERR_TRACE_NOT_FOUND`, `ERR_TRACE_FILE`
 */
export async function fileSize(path: string): Promise<number> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!found.isFile()) throw new TraceError("ERR_TRACE_FILE", `${path} is not a file`);
  return found.size;
}

/**
 * The lines of a text file, without their ends; `.gz` and `.zst` are decompressed on the way.
 *
 * @throws TraceError `ERR_TRACE_NOT_FOUND`, `ERR_TRACE_FILE`, and `ERR_TRACE_FORMAT` for what is no text.
 */
export async function* textLines(path: string): AsyncGenerator<LineBlock> {
  // Before the file is opened: nobody would listen for its errors, or close it.
  const decompressor = decompressorFor(path);
  const file = createReadStream(path, { highWaterMark: BLOCK });
  // Errors of either stream reach the loop below, because `pipeline` destroys the last one with them.
  const stream = decompressor === undefined ? file : pipeline(file, decompressor, () => undefined);
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LONGEST_LINE || chunk.includes(0)) {
        throw new TraceError("ERR_TRACE_FORMAT", `${path} is not text in lines`);
      }
      yield { lines, bytesRead: file.bytesRead };
    }
  } catch (cause) {
    throw cause instanceof TraceError ? cause : unreadable(path, cause);
  }
  rest += decoder.end();
  if (rest !== "") yield { lines: [rest], bytesRead: file.bytesRead };
}

function decompressorFor(path: string): Transform | undefined {
  if (path.endsWith(".gz")) return zlib.createGunzip({ chunkSize: BLOCK });
  if (!path.endsWith(".zst")) return undefined;
  // Not in the types of the oldest Node that is supported.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };
  if (createZstdDecompress === undefined) {
    throw new TraceError("ERR_TRACE_FILE", `${path} needs Node 22.15 or later to be decompressed: use gzip`);
  }
  return createZstdDecompress();
}

function unreadable(path: string, cause: unknown): TraceError {
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (code === "ENOENT") return new TraceError("ERR_TRACE_NOT_FOUND", `There is no file ${path}`, { cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TraceError("ERR_TRACE_FILE", `${path} cannot be read: ${reason}`, { cause });
}
