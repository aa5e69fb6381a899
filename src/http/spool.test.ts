import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Spool } from "./spool.js";

/** A source of `count` chunks of `size` bytes that counts what is taken from it. */
function source(count: number, size = 10) {
  let taken = 0;
  let cancelled: unknown;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (taken === count) controller.close();
        else controller.enqueue(new Uint8Array(size).fill(taken++ % 256));
      },
      cancel(reason) {
        cancelled = reason;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, taken: () => taken, cancelled: () => cancelled };
}

async function read(stream: ReadableStream<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of stream) size += chunk.length;
  return size;
}

function turns(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("Spool", () => {
  it("has all of a body that fits, though nobody reads it", async () => {
    const spool = new Spool(source(5).stream, 50);
    expect((await spool.whole)?.length).toBe(50);
    expect(spool.isDone).toBe(true);
    expect(await read(spool.open())).toBe(50);
  });

  it("gives every reader all of it, in order, however they take turns", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 30 }), { maxLength: 12 }),
        fc.array(fc.nat({ max: 2 }), { maxLength: 60 }),
        fc.integer({ min: 0, max: 200 }),
        async (sizes, order, limit) => {
          const all = sizes.flatMap((size, index) => Array.from({ length: size }, () => index));
          const stream = new ReadableStream<Uint8Array>({
            start(controller) {
              for (const [index, size] of sizes.entries()) controller.enqueue(new Uint8Array(size).fill(index));
              controller.close();
            },
          });
          const spool = new Spool(stream, Math.max(limit, all.length / 2));
          const readers = [0, 1, 2].map(() => ({ reader: spool.open().getReader(), got: [] as number[], done: false }));
          const step = async (which: number): Promise<void> => {
            const one = readers[which];
            if (one === undefined || one.done) return;
            const { done, value } = await one.reader.read();
            one.done = done;
            if (value !== undefined) one.got.push(...value);
          };
          for (const which of order) await step(which);
          await Promise.all(
            readers.map(async (one, which) => {
              while (!one.done) await step(which);
            }),
          );
          for (const { got } of readers) expect(got).toEqual(all);
        },
      ),
    );
  });

  it("takes from its source past the limit only what its fastest reader takes", async () => {
    const { stream, taken } = source(1_000);
    const spool = new Spool(stream, 50);
    const reader = spool.open().getReader();
    for (let n = 0; n < 20; n++) await turns();
    expect(taken()).toBe(6);
    expect([await spool.whole, spool.isJoinable]).toEqual([undefined, false]);
    for (let n = 0; n < 20; n++) await reader.read();
    await turns();
    expect(taken()).toBeLessThanOrEqual(21);
  });

  it("cuts a reader that falls behind, and nobody else", async () => {
    const spool = new Spool(source(1_000).stream, 50);
    const slow = spool.open().getReader();
    expect(await read(spool.open())).toBe(10_000);
    await expect(slow.read()).rejects.toThrow("too slowly");
  });

  it("waits for a lone slow reader", async () => {
    const spool = new Spool(source(1_000).stream, 50);
    const stream = spool.open();
    for (let n = 0; n < 50; n++) await turns();
    expect(await read(stream)).toBe(10_000);
  });

  it("ends its source when the last reader goes, and not before", async () => {
    const { stream, cancelled } = source(1_000);
    const spool = new Spool(stream, 50);
    const [one, other] = [spool.open(), spool.open()];
    await one.cancel();
    await turns();
    expect(cancelled()).toBeUndefined();
    await other.cancel();
    await turns();
    expect(cancelled()).toBeDefined();
    expect(await spool.whole).toBeUndefined();
  });

  it("ends its source when it is discarded unread", async () => {
    const { stream, cancelled } = source(1_000);
    const spool = new Spool(stream, 50);
    await spool.whole;
    spool.discard();
    await turns();
    expect(cancelled()).toBeDefined();
  });

  it("goes on for its readers when it is not to be kept any more", async () => {
    const spool = new Spool(source(100).stream, 10_000);
    const stream = spool.open();
    spool.release();
    expect(await spool.whole).toBeUndefined();
    expect(await read(stream)).toBe(1_000);
  });

  it("fails its readers with the source's own error", async () => {
    const error = new Error("cut");
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(error),
    });
    const spool = new Spool(stream, 50);
    await expect(read(spool.open())).rejects.toBe(error);
    expect([await spool.whole, spool.isJoinable]).toEqual([undefined, false]);
  });
});
