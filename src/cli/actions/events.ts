import type { Miss, Note, ProcessReport } from "../../admin/report.js";
import { plainText } from "../../plain-text.js";
import type { EventsFlags } from "../commands/events.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { jsonLine } from "../json-text.js";
import { pause } from "../pause.js";
import { withReach, type Reach } from "../reach.js";
import { messagesOf } from "../server-sent.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";

/** Milliseconds until a stream that broke is asked for again. */
const RETRY = 2_000;
/** Invalidations remembered, so that each is told once. */
const REMEMBERED = 10_000;

/** What happens in a cache, as it happens. */
export function events(flags: EventsFlags, terminal: Terminal): Promise<ExitCode> {
  return withReach(flags, terminal, (to) => stoppable((stop) => follow(to, flags, stop, terminal)));
}

/** What is printed of an event. */
interface Line extends Omit<Note, "number" | "at" | "type"> {
  readonly time: string;
  readonly cache: string;
  readonly process: string;
  readonly type: string;
  readonly entity?: string | undefined;
}

async function follow(to: Reach, flags: EventsFlags, stop: AbortController, terminal: Terminal): Promise<ExitCode> {
  // It never rejects, and ends with whatever ends this.
  void pause(flags.for ?? Number.POSITIVE_INFINITY, stop.signal).then(() => stop.abort(EXIT.ok));
  const news = new News(to, flags);
  let printed = 0;
  try {
    terminal.status(`following ${to.name}; Ctrl-C ends it`);
    for await (const reports of reportsFrom(to, stop.signal, terminal)) {
      for (const line of reports.flatMap((report) => news.of(report))) {
        terminal.out(flags.ndjson === true || !terminal.isLive ? jsonLine(line) : eventText(line, terminal));
        printed += 1;
        if (printed === flags.count) stop.abort(EXIT.ok);
        if (stop.signal.aborted) break;
      }
    }
    return stop.signal.reason as ExitCode;
  } finally {
    stop.abort(EXIT.failure);
    terminal.status("");
  }
}

/** Reports as they come; a stream that breaks is asked for again, from where it was. */
async function* reportsFrom(
  to: Reach,
  signal: AbortSignal,
  terminal: Terminal,
): AsyncGenerator<readonly ProcessReport[], undefined> {
  let last: string | undefined;
  let hasBegun = false;
  while (!signal.aborted) {
    try {
      const stream = await to.live(last, signal);
      hasBegun = true;
      for await (const { id, event, data } of messagesOf(stream, signal)) {
        last = id ?? last;
        if (event !== "reports") continue;
        const { cache, reports } = JSON.parse(data) as { cache: string; reports: readonly ProcessReport[] };
        if (cache === to.name) yield reports;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!hasBegun) throw error;
      terminal.note(`warning: ${error instanceof Error ? error.message : String(error)}; trying again`);
    }
    if (!signal.aborted) await pause(RETRY, signal);
  }
}

/** Tells what was not told before. */
class News {
  readonly #to: Reach;
  readonly #flags: EventsFlags;
  readonly #since = Date.now();
  /** By process: the highest number that was told. */
  readonly #told = new Map<string, number>();
  readonly #positions = new Set<number>();

  constructor(to: Reach, flags: EventsFlags) {
    this.#to = to;
    this.#flags = flags;
  }

  of({ process, notes, sampled }: ProcessReport): readonly Line[] {
    const all: readonly (Note | Miss)[] = this.#flags.misses === true ? [...notes, ...(sampled?.misses ?? [])] : notes;
    // A process tells what it remembers when it is first heard; what was before this command is not followed.
    const told = this.#told.get(process.id) ?? 0;
    const fresh = all
      .filter((one) => one.number > told && (told > 0 || one.at >= this.#since))
      .sort((a, b) => a.number - b.number);
    this.#told.set(process.id, Math.max(told, 1, ...all.map(({ number }) => number)));
    return fresh.filter((one) => this.#isWanted(one)).map((one) => this.#line(one, process.name));
  }

  #isWanted(one: Note | Miss): boolean {
    const { type: wanted } = this.#flags;
    if (wanted !== undefined && !wanted.includes("type" in one ? one.type : "miss")) return false;
    const position = "invalidation" in one ? one.invalidation?.position : undefined;
    if (position === undefined) return true;
    if (this.#positions.has(position)) return false;
    this.#positions.add(position);
    const oldest = this.#positions.values().next();
    if (this.#positions.size > REMEMBERED && oldest.done !== true) this.#positions.delete(oldest.value);
    return true;
  }

  #line(one: Note | Miss, process: string): Line {
    const start = { time: new Date(one.at).toISOString(), cache: this.#to.name, process } as const;
    if (!("type" in one)) return { ...start, type: "miss", what: one.reason, key: one.key, entity: one.entity };
    const { number: _number, at: _at, type, ...rest } = one;
    return { ...start, type, ...rest };
  }
}

function eventText({ time, process, type, what, key, detail, invalidation }: Line, { colors }: Terminal): string {
  const hit =
    invalidation === undefined
      ? plainText([what, key, detail].filter((part) => part !== undefined).join(" "))
      : `${invalidation.soft ? "soft " : ""}${invalidation.targets.join(", ")}${invalidation.marks > invalidation.targets.length ? " …" : ""}`;
  const paint = /failed|down|corrupt|gap|refused|violation/.test(type) ? colors.red : colors.cyan;
  return `${colors.dim(time.slice(11, 23))} ${paint(type)} ${plainText(hit)} ${colors.dim(plainText(process))}\n`;
}
