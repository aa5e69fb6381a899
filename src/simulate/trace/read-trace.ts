import { hashOf } from "../mix.js";
import { columnNamed, fieldsOf, type CsvColumn, type TimeUnit } from "./csv.js";
import { delimiterOf, detectFormat, type DetectedFormat } from "./detect-format.js";
import { parserOf, type LineParser, type TraceFormat } from "./formats.js";
import { KeyIds } from "./key-ids.js";
import { NO_CLIENT, RequestBatch, type TraceRequest } from "./request-batch.js";
import { textLines } from "./text-lines.js";
import { TraceError } from "./trace-error.js";

export interface TraceOptions {
  readonly path: string;
  /** @default "auto" */
  readonly format?: TraceFormat | "auto" | undefined;
  /** The columns of a CSV file, in order: with it the first line is data, unless it names them itself. */
  readonly columns?: readonly CsvColumn[] | undefined;
  /** The unit of a time column. @default "s" */
  readonly timeUnit?: TimeUnit | undefined;
  /** The part of all keys that is read, by their hash: above 0, at most 1. @default 1 */
  readonly sample?: number | undefined;
  /** Whether the first bad line ends it. @default false */
  readonly strict?: boolean | undefined;
  /** Told now and then how many bytes of the file have been read. */
  readonly onProgress?: ((bytesRead: number) => void) | undefined;
}

/** Bad lines that are put up with; one more is a wrong format. */
export const MOST_BAD_LINES = 1000;
const BAD_LINES_SHOWN = 5;
const LINES_LOOKED_AT = 20;
/** Requests in a batch, or one line more: a line may stand for a million. */
const ENOUGH = 1 << 16;
const TWO_32 = 2 ** 32;

export interface BadLine {
  readonly line: number;
  readonly reason: string;
}

/** What was read, known when the batches have ended. */
export interface TraceSummary {
  /** Of the whole trace, sampled or not. */
  requests: number;
  /** Distinct keys among those sampled. */
  keys: number;
  lines: number;
  badLines: number;
  /** The first of them. */
  firstBadLines: readonly BadLine[];
  format: TraceFormat;
}

/** A trace being read: its batches, once, and the summary that grows meanwhile. */
export class TraceReader {
  readonly #options: TraceOptions;
  readonly #keys = new KeyIds();
  readonly #clients = new KeyIds();
  readonly #threshold: number;
  readonly #bad: BadLine[] = [];
  #batch = new RequestBatch();
  #line = 0;
  #badLines = 0;
  #requests = 0;
  #format: TraceFormat = "plain";

  constructor(options: TraceOptions) {
    this.#options = options;
    this.#threshold = (options.sample ?? 1) * TWO_32;
  }

  get summary(): TraceSummary {
    return {
      requests: this.#requests,
      keys: this.#keys.size,
      lines: this.#line,
      badLines: this.#badLines,
      firstBadLines: this.#bad,
      format: this.#format,
    };
  }

  /**
   * The requests, some thousand at a time. A batch is overwritten by the next one.
   *
   * @throws TraceError
   */
  async *batches(): AsyncGenerator<RequestBatch> {
    let parse: LineParser | undefined;
    for await (const { lines, bytesRead } of textLines(this.#options.path)) {
      let from = 0;
      if (parse === undefined) {
        const detected = this.#detect(lines);
        this.#format = detected.format;
        parse = parserOf(detected.format, { ...detected, timeUnit: this.#options.timeUnit ?? "s" });
        from = detected.hasHeader ? 1 + lines.findIndex((line) => line.trim() !== "") : 0;
        this.#line = from;
      }
      this.#batch.length = 0;
      for (let i = from; i < lines.length; i += 1) {
        this.#read(lines[i] as string, parse);
        if (this.#batch.length < ENOUGH) continue;
        yield this.#batch;
        this.#batch.length = 0;
      }
      if (this.#batch.length > 0) yield this.#batch;
      this.#options.onProgress?.(bytesRead);
    }
  }

  #detect(lines: readonly string[]): DetectedFormat {
    const first = lines.filter((line) => line.trim() !== "").slice(0, LINES_LOOKED_AT);
    const { path, format = "auto", columns } = this.#options;
    const delimiter = delimiterOf(first[0] ?? "");
    if (columns !== undefined) {
      const header = fieldsOf(first[0] ?? "", delimiter).map(columnNamed);
      return { format: "csv", columns, delimiter, hasHeader: header.includes("key") };
    }
    if (format === "auto") return detectFormat(path, first);
    if (format !== "csv") return { format, columns: [], delimiter, hasHeader: false };
    const detected = detectFormat(path, first);
    if (detected.format !== "csv" && first.length > 0) {
      throw new TraceError("ERR_TRACE_FORMAT", `${path} has no header that names a key: name its columns`, { line: 1 });
    }
    return detected;
  }

  #read(text: string, parse: LineParser): void {
    this.#line += 1;
    if (text.trim() === "") return;
    const reason = parse(text.endsWith("\r") ? text.slice(0, -1) : text, this.#emit);
    if (reason !== undefined) this.#refuse(reason);
  }

  readonly #emit = (request: TraceRequest): void => {
    this.#requests += 1;
    if (this.#threshold < TWO_32 && hashOf(request.key) >= this.#threshold) return;
    const client = request.client === undefined ? NO_CLIENT : this.#clients.idOf(request.client);
    this.#batch.add(this.#keys.idOf(request.key), client, request);
  };

  #refuse(reason: string): void {
    this.#badLines += 1;
    const line = this.#line;
    if (this.#bad.length < BAD_LINES_SHOWN) this.#bad.push({ line, reason });
    if (this.#options.strict === true) {
      throw new TraceError("ERR_TRACE_LINE", `${this.#options.path}, line ${line}: ${reason}`, { line });
    }
    if (this.#badLines > MOST_BAD_LINES) {
      throw new TraceError(
        "ERR_TRACE_LINE",
        `${this.#options.path} has more than ${MOST_BAD_LINES} bad lines, the last being line ${line}: ${reason}`,
        { line },
      );
    }
  }
}
