import { describe, expect, it } from "vitest";

import { deferred } from "../../test/support/deferred.js";
import { PendingOperations } from "../invalidation/pending.js";
import { Flight, Flights, type Outcome } from "./flight.js";

const OUTCOME: Outcome = {
  value: 1,
  mutable: false,
  from: "load",
  stale: false,
  raw: false,
  entry: { position: 1, tags: [] },
};
const gone = new Error("gone");

function makeFlight(options: { key?: string; background?: boolean; pending?: PendingOperations } = {}): {
  flight: Flight;
  abandoned: () => number;
} {
  const { key = "k", background = false, pending = new PendingOperations() } = options;
  let abandoned = 0;
  const flight = new Flight({
    key,
    pending: pending.begin(key),
    background,
    stale: undefined,
    reason: "cold",
    version: 0,
    startedAt: 0,
    whenAbandoned: () => (abandoned += 1),
  });
  return { flight, abandoned: () => abandoned };
}

describe("Flight", () => {
  it("is abandoned when the last of those who joined has left, once, and not before", () => {
    const { flight, abandoned } = makeFlight();
    const leaves = [flight.join(), flight.join()];
    leaves[0]?.();
    leaves[0]?.();
    expect(abandoned()).toBe(0);
    leaves[1]?.();
    expect(abandoned()).toBe(1);
  });

  it("is not abandoned once it is adopted, answered, or begun in the background", async () => {
    const adopted = makeFlight();
    const answered = makeFlight();
    const background = makeFlight({ background: true });
    const leaves = [adopted, answered, background].map(({ flight }) => flight.join());
    adopted.flight.adopt();
    answered.flight.resolve(OUTCOME);
    for (const leave of leaves) leave();
    expect([adopted.abandoned(), answered.abandoned(), background.abandoned()]).toEqual([0, 0, 0]);
    expect(await answered.flight.answer).toBe(OUTCOME);
  });

  it("says whether somebody shares it: the second to join, or anybody who joins a background one", () => {
    const { flight } = makeFlight();
    expect(flight.joined).toBe(false);
    flight.join();
    expect(flight.joined).toBe(true);
    expect(makeFlight({ background: true }).flight.joined).toBe(true);
  });

  it("its signal, made when first asked for, is aborted with the first reason, before or after", () => {
    const early = makeFlight().flight;
    const { signal } = early;
    early.abort(gone);
    early.abort(new Error("later"));
    expect([signal.aborted, signal.reason]).toEqual([true, gone]);
    const late = makeFlight().flight;
    late.abort(gone);
    expect([late.signal.aborted, late.signal.reason]).toEqual([true, gone]);
    expect(late.signal).toBe(late.signal);
  });

  it("tells who runs its loader that it is aborted, at once when it is already", () => {
    const reasons: unknown[] = [];
    const { flight } = makeFlight();
    flight.whenAborted((reason) => reasons.push(reason));
    flight.abort(gone);
    flight.abort(gone);
    flight.whenAborted((reason) => reasons.push(reason));
    expect(reasons).toEqual([gone, gone]);
  });

  it("given up and timed out are two things: only the second says something of the source", () => {
    const { flight } = makeFlight();
    expect(flight.givenUp).toBe(false);
    expect(() => flight.throwIfAborted()).not.toThrow();
    flight.abort(gone);
    expect(flight.givenUp).toBe(true);
    expect(() => flight.throwIfAborted()).toThrow(gone);
    flight.timedOut = true;
    expect(flight.givenUp).toBe(false);
  });

  it("a rejection that nobody waits for is nobody's", async () => {
    const { flight } = makeFlight();
    flight.reject(gone);
    await expect(flight.answer).rejects.toBe(gone);
  });
});

describe("Flights", () => {
  it("hold one per key to join, until its run has ended", async () => {
    const pending = new PendingOperations();
    const flights = new Flights();
    const { flight } = makeFlight({ pending });
    const run = deferred();
    flights.start(flight, () => run.promise);
    expect(flights.get("k")).toBe(flight);
    expect([flights.size, pending.size]).toEqual([1, 1]);
    run.resolve();
    await flights.ended();
    expect(flights.get("k")).toBeUndefined();
    expect([flights.size, pending.size]).toEqual([0, 0]);
  });

  it("a detached one runs on, unseen, and its end takes nothing from its successor", async () => {
    const flights = new Flights();
    const [first, second] = [makeFlight().flight, makeFlight().flight];
    const runs = [deferred(), deferred()];
    flights.start(first, () => (runs[0] as (typeof runs)[0]).promise);
    flights.detach("k");
    expect(flights.get("k")).toBeUndefined();
    flights.start(second, () => (runs[1] as (typeof runs)[0]).promise);
    flights.leave(first);
    runs[0]?.resolve();
    await runs[0]?.promise;
    await Promise.resolve();
    expect(flights.get("k")).toBe(second);
    expect(flights.size).toBe(1);
    runs[1]?.resolve();
    await flights.ended();
    expect(flights.size).toBe(0);
  });

  it("detachAll and abortAll reach every one, the detached too", async () => {
    const flights = new Flights();
    const all = ["a", "b", "a"].map((key) => makeFlight({ key }).flight);
    const run = deferred();
    for (const flight of all) flights.start(flight, () => run.promise);
    flights.detachAll();
    expect([flights.get("a"), flights.get("b")]).toEqual([undefined, undefined]);
    flights.abortAll(gone);
    expect(all.map((flight) => flight.aborted)).toEqual([true, true, true]);
    run.resolve();
    await flights.ended();
  });
});
