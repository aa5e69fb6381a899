import type { ChangeTarget } from "tiercache";
import { PositionLost, type Change, type ChangeStream } from "./stream-feed.js";

/** What is called of the driver's `Db`. */
export interface Mongo {
  watch(
    pipeline: readonly object[],
    options: { readonly resumeAfter?: unknown },
  ): AsyncIterable<MongoEvent> & { close(): Promise<unknown> };
  collection(name: string): {
    updateOne(filter: object, update: object, options: { readonly upsert: boolean }): Promise<unknown>;
  };
}

export interface MongoEvent {
  /** The resume token. */
  readonly _id: unknown;
  readonly operationType: string;
  readonly ns?: { readonly coll?: string };
  readonly documentKey?: { readonly _id: unknown };
  readonly updateDescription?: { readonly updatedFields?: Readonly<Record<string, unknown>> };
  readonly fullDocument?: Readonly<Record<string, unknown>>;
}

const MARKS = "tiercache_marks";
const HISTORY_LOST = 286;

/** The changes of a MongoDB database: a change stream, which tells what a majority has, and so what the primary shows. */
export function mongoStream(db: Mongo, targetsOf: (collection: string, id: unknown) => ChangeTarget[]): ChangeStream {
  return {
    async *changes(after, signal): AsyncIterable<Change> {
      const cursor = db.watch([], after === undefined ? {} : { resumeAfter: JSON.parse(after) as unknown });
      const close = (): void => void cursor.close().catch(() => undefined);
      signal.addEventListener("abort", close, { once: true });
      try {
        for await (const event of cursor) {
          // Dropped, renamed: the stream ends, and what it meant is not told row by row.
          if (event.documentKey === undefined) throw new PositionLost(event.operationType);
          const { updateDescription, fullDocument, documentKey } = event;
          const collection = event.ns?.coll ?? "";
          const isMark = collection === MARKS;
          const mark = fullDocument?.["mark"] ?? updateDescription?.updatedFields?.["mark"];
          yield {
            position: JSON.stringify(event._id),
            targets: isMark ? [] : targetsOf(collection, documentKey._id),
            mark: isMark && typeof mark === "string" ? mark : undefined,
          };
        }
      } catch (error) {
        const isLost = error instanceof Error && "code" in error && error.code === HISTORY_LOST;
        throw isLost ? new PositionLost("The oplog does not reach back so far", { cause: error }) : error;
      } finally {
        signal.removeEventListener("abort", close);
      }
    },
    mark: async (id) => {
      await db.collection(MARKS).updateOne({ _id: "mark" }, { $set: { mark: id } }, { upsert: true });
    },
    visible: async () => undefined,
  };
}
