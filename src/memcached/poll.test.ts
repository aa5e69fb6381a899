import { describe, expect, it } from "vitest";
import type { LogRecord } from "../invalidation/record.js";
import { FakeClock } from "../testing/index.js";
import type { LogSignal } from "../tiers/shared.js";
import { LogPoll } from "./poll.js";

/** A log that is told what it holds. */
class FakeLog {
  positions = [10];
  oldest = 10;
  isUp = true;
  asked = 0;

  async head(): Promise<{ position: number; control: number; floor: number }> {
    this.asked += 1;
    if (!this.isUp) throw new Error("down");
    const position = this.positions.at(-1) ?? 0;
    return { position, control: position, floor: 10 };
  }

  async since(
    position: number,
    limit: number,
  ): Promise<{ records: LogRecord[] | undefined; head: { position: number; control: number; floor: number } }> {
    const head = await this.head();
    if (position < this.oldest) return { records: undefined, head };
    const after = this.positions.filter((at) => at > position).slice(0, limit);
    return {
      records: after.map((at) => ({ position: at, previous: at - 1, origin: "o", soft: false, marks: [] })),
      head,
    };
  }
}

function listen(poll: LogPoll): { heard: (number | string)[]; standing: Promise<() => Promise<void>> } {
  const heard: (number | string)[] = [];
  const hear = (signal: LogSignal): void =>
    void heard.push(signal.type === "record" ? signal.record.position : signal.type);
  return { heard, standing: poll.subscribe(hear) };
}

describe("a subscription that polls", () => {
  it("hears every record once, in order, at the next poll", async () => {
    const [log, clock] = [new FakeLog(), new FakeClock()];
    const { heard, standing } = listen(new LogPoll(log, clock, 100));
    await standing;
    expect(heard).toEqual(["up"]);
    log.positions.push(11, 12);
    await clock.advance(99);
    expect(heard).toEqual(["up"]);
    await clock.advance(1);
    log.positions.push(13);
    await clock.advance(100);
    await clock.advance(100);
    expect(heard).toEqual(["up", 11, 12, 13]);
  });

  it("asks on until it has all that is there", async () => {
    const [log, clock] = [new FakeLog(), new FakeClock()];
    const { heard, standing } = listen(new LogPoll(log, clock, 100));
    await standing;
    for (let position = 11; position <= 2_510; position++) log.positions.push(position);
    await clock.advance(100);
    expect(heard).toHaveLength(2_501);
    expect(heard.at(-1)).toBe(2_510);
  });

  it("says that it is up once more where the log does not reach back, so that its listener looks itself", async () => {
    const [log, clock] = [new FakeLog(), new FakeClock()];
    const { heard, standing } = listen(new LogPoll(log, clock, 100));
    await standing;
    log.positions.push(11, 12, 13);
    log.oldest = 12;
    await clock.advance(100);
    log.positions.push(14);
    await clock.advance(100);
    expect(heard).toEqual(["up", "up", 14]);
  });

  it("says when it is down, once, and when it is up again, missing nothing", async () => {
    const [log, clock] = [new FakeLog(), new FakeClock()];
    const { heard, standing } = listen(new LogPoll(log, clock, 100));
    await standing;
    log.isUp = false;
    await clock.advance(300);
    log.positions.push(11);
    log.isUp = true;
    await clock.advance(200);
    expect(heard).toEqual(["up", "down", "up", 11]);
  });

  it("stands when the log was reached for the first time, however long that takes", async () => {
    const [log, clock] = [new FakeLog(), new FakeClock()];
    log.isUp = false;
    const { heard, standing } = listen(new LogPoll(log, clock, 100));
    await clock.advance(1_000);
    expect(heard).toEqual([]);
    log.isUp = true;
    await clock.advance(100);
    await standing;
    expect(heard).toEqual(["up"]);
  });

  it("ends when it is ended, and all when the tier is closed, those that never stood too", async () => {
    const [log, clock] = [new FakeLog(), new FakeClock()];
    const poll = new LogPoll(log, clock, 100);
    const [first, second] = [listen(poll), listen(poll)];
    await second.standing;
    await (
      await first.standing
    )();
    log.positions.push(11);
    await clock.advance(100);
    log.isUp = false;
    const third = listen(poll);
    const refused = expect(third.standing).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    poll.close();
    await refused;
    const { asked } = log;
    await clock.advance(1_000);
    expect(log.asked).toBe(asked);
    expect([first.heard, second.heard]).toEqual([["up"], ["up", 11]]);
    await expect(poll.subscribe(() => undefined)).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });
});
