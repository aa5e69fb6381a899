import { openPeer } from "./peers/open.js";
import type { PeerCache } from "./peers/peer.js";
import type { Command, FromWorker, Row, ToWorker, WorkerSettings, WriteOrder, WriteRecord } from "./protocol.js";
import { now } from "./protocol.js";
import { Reader, startReading, type Reading } from "./reading.js";
import { compareValues } from "./values.js";
import { startWriting, type Writing } from "./writing.js";

/*
 * One process with one cache, told over the IPC channel what to do; the harness's source is asked over it too. It ends
 * with the harness, however that ends.
 */

const questions = new Map<number, { resolve: (rows: readonly Row[]) => void; reject: (error: Error) => void }>();
const unhandled: string[] = [];
let asked = 0;
let wasted = 0;
let settings: WorkerSettings | undefined;
let cache: PeerCache | undefined;
let reader: Reader | undefined;
let reading: Reading | undefined;
let writing: Writing | undefined;

process.on("disconnect", () => process.exit());
process.on("SIGINT", () => undefined);
process.on("unhandledRejection", (error) => unhandled.push(`rejection: ${describe(error)}`));
process.on("uncaughtException", (error) => unhandled.push(`exception: ${describe(error)}`));
process.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "command":
      obey(message.command).then(
        (value) => send({ type: "answer", id: message.id, value }),
        (error: unknown) => send({ type: "answer", id: message.id, error: describe(error) }),
      );
      return;
    case "loaded": {
      const question = questions.get(message.id);
      questions.delete(message.id);
      if (message.row !== undefined) question?.resolve([message.row]);
      else question?.reject(new Error(message.error));
      return;
    }
    case "committed":
      questions.get(message.id)?.resolve(message.rows);
      questions.delete(message.id);
  }
});
send({ type: "ready" });

async function obey(command: Command): Promise<unknown> {
  switch (command.type) {
    case "open":
      return open(command.settings);
    case "read":
      if (command.at !== undefined) await new Promise((resolve) => setTimeout(resolve, (command.at ?? 0) - now()));
      return Promise.all(command.keys.map((key) => opened().reader.read(key, command.patience)));
    case "start-reading":
      reading = startReading(opened().reader, command.plan);
      return undefined;
    case "stop-reading":
      return reading?.stop();
    case "write":
      return write(command.order);
    case "start-writing":
      writing = startWriting(write, command.plan);
      return undefined;
    case "stop-writing":
      return writing?.stop();
    case "block":
      block(command.ms);
      return undefined;
    case "values":
      return compareValues(opened().cache, command);
    case "report":
      return { unhandled, wasted };
    case "close":
      return close();
  }
}

async function open(to: WorkerSettings): Promise<void> {
  settings = to;
  wasted = 0;
  unhandled.length = 0;
  cache = await openPeer(to);
  reader = new Reader(cache, load, to.peer === "tiercache");
}

async function close(): Promise<void> {
  const [wasReading, wasWriting, wasOpen] = [reading, writing, cache];
  reading = writing = cache = reader = undefined;
  await Promise.all([wasReading?.stop(), wasWriting?.stop()]);
  await wasOpen?.close();
}

function opened(): { readonly cache: PeerCache; readonly reader: Reader } {
  if (cache === undefined || reader === undefined) throw new Error("The cache is not open");
  return { cache, reader };
}

/** What every reader brings along: the source, behind a client that may give up. */
async function load(key: string): Promise<Row> {
  const answer = ask({ type: "load", id: 0, key });
  const judge = (): void => {
    if (reader?.isAwaited(key) !== true) wasted += 1;
  };
  const limit = settings?.loadTimeout;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    if (limit !== undefined) timer = setTimeout(() => reject(new Error("the source did not answer in time")), limit);
  });
  // Whether or not it was waited for to the end, it was worth its while only if somebody waits for it now.
  answer.then(judge, judge);
  try {
    const [row] = await Promise.race([answer, late]);
    if (row === undefined) throw new Error("the source gave no row");
    return settings?.entity?.shape === "b" ? Object.assign({}, row, { extra: true }) : row;
  } finally {
    clearTimeout(timer);
  }
}

async function write(order: WriteOrder): Promise<WriteRecord> {
  const rows = await ask({ type: "commit", id: 0, keys: order.keys });
  const { how } = order;
  const sentAt = now();
  try {
    await opened().cache.invalidate(how, order.target);
    return { how, rows, sentAt, settledAt: now() };
  } catch (error) {
    return { how, rows, sentAt, settledAt: now(), error: describe(error) };
  }
}

function ask(question: Extract<FromWorker, { id: number; type: "load" | "commit" }>): Promise<readonly Row[]> {
  asked += 1;
  const id = asked;
  return new Promise((resolve, reject) => {
    questions.set(id, { resolve, reject });
    send({ ...question, id });
  });
}

function send(message: FromWorker): void {
  // The harness has gone: this process ends with the channel.
  process.send?.(message, undefined, {}, () => undefined);
}

/** Nothing else runs in this process meanwhile. */
function block(ms: number): void {
  const until = now() + ms;
  while (now() < until);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? `${code}: ${error.message}` : error.message;
}
