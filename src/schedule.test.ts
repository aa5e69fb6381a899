import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CacheError } from "./errors.js";
import type { Ttl, TtlSchedule } from "./options.js";
import { resolveTtl, validateTtl } from "./schedule.js";

const at = (iso: string): number => Date.parse(iso);
const resolve = (ttl: Ttl, iso: string): number => resolveTtl(ttl, "value", "key", at(iso));

const officeHours: TtlSchedule = {
  windows: [
    { from: "09:00", to: "17:00", ttl: "1m" },
    { from: "22:00", to: "06:00", ttl: "2h" },
  ],
  otherwise: "10m",
};

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect((error as CacheError).code).toBe("ERR_CACHE_OPTION");
    return (error as Error).message;
  }
  throw new Error("Expected a CacheError");
}

describe("resolveTtl", () => {
  it("takes milliseconds and text", () => {
    expect(resolveTtl(1_500, "value", "key", 0)).toBe(1_500);
    expect(resolveTtl("30s", "value", "key", 0)).toBe(30_000);
  });

  it("asks a function with the value and the key", () => {
    const ttl = (value: number, key: string): string => `${value + key.length}s`;
    expect(resolveTtl(ttl, 5, "key", 0)).toBe(8_000);
  });

  it("refuses what a function returns when it is no duration", () => {
    const message = messageOf(() => resolveTtl(() => "soon", "value", "key", 0));
    expect(message).toContain("`ttl(value, key)`");
    expect(message).toContain('"soon"');
  });

  it("includes a window's start and excludes its end", () => {
    expect(resolve(officeHours, "2025-06-02T08:59:59.999Z")).toBe(600_000);
    expect(resolve(officeHours, "2025-06-02T09:00:00Z")).toBe(60_000);
    expect(resolve(officeHours, "2025-06-02T16:59:59.999Z")).toBe(60_000);
    expect(resolve(officeHours, "2025-06-02T17:00:00Z")).toBe(600_000);
  });

  it("lets a window pass midnight", () => {
    expect(resolve(officeHours, "2025-06-02T21:59:00Z")).toBe(600_000);
    expect(resolve(officeHours, "2025-06-02T22:00:00Z")).toBe(7_200_000);
    expect(resolve(officeHours, "2025-06-03T00:00:00Z")).toBe(7_200_000);
    expect(resolve(officeHours, "2025-06-03T05:59:00Z")).toBe(7_200_000);
    expect(resolve(officeHours, "2025-06-03T06:00:00Z")).toBe(600_000);
  });

  it("ends a window at midnight as 24:00 and as 00:00", () => {
    for (const to of ["24:00", "00:00"]) {
      const evening: TtlSchedule = { windows: [{ from: "18:00", to, ttl: 1 }], otherwise: 2 };
      expect(resolve(evening, "2025-06-02T23:59:59Z")).toBe(1);
      expect(resolve(evening, "2025-06-03T00:00:00Z")).toBe(2);
    }
  });

  it("decides by the first of overlapping windows", () => {
    const overlapping: TtlSchedule = {
      windows: [
        { from: "12:00", to: "13:00", ttl: 1 },
        { from: "00:00", to: "24:00", ttl: 2 },
      ],
      otherwise: 3,
    };
    expect(resolve(overlapping, "2025-06-02T12:30:00Z")).toBe(1);
    expect(resolve(overlapping, "2025-06-02T13:30:00Z")).toBe(2);
  });

  it("reads the clock on the wall of the schedule's time zone", () => {
    const kathmandu: TtlSchedule = {
      windows: [{ from: "09:00", to: "09:15", ttl: 1 }],
      otherwise: 2,
      timeZone: "Asia/Kathmandu",
    };
    expect(resolve(kathmandu, "2025-06-02T03:14:59Z")).toBe(2);
    expect(resolve(kathmandu, "2025-06-02T03:15:00Z")).toBe(1);
    expect(resolve(kathmandu, "2025-06-02T03:30:00Z")).toBe(2);
  });

  it("skips a window that lies in the hour summer time takes away", () => {
    const berlin: TtlSchedule = {
      windows: [{ from: "02:00", to: "03:00", ttl: 1 }],
      otherwise: 2,
      timeZone: "Europe/Berlin",
    };
    expect(resolve(berlin, "2025-03-29T01:30:00Z")).toBe(1);
    expect(resolve(berlin, "2025-03-30T00:59:59Z")).toBe(2);
    expect(resolve(berlin, "2025-03-30T01:00:00Z")).toBe(2);
    expect(resolve(berlin, "2025-03-30T01:30:00Z")).toBe(2);
    expect(resolve(berlin, "2025-03-31T00:30:00Z")).toBe(1);
  });

  it("holds a window twice in the hour that winter time repeats", () => {
    const berlin: TtlSchedule = {
      windows: [{ from: "02:00", to: "03:00", ttl: 1 }],
      otherwise: 2,
      timeZone: "Europe/Berlin",
    };
    expect(resolve(berlin, "2025-10-25T23:59:59Z")).toBe(2);
    expect(resolve(berlin, "2025-10-26T00:00:00Z")).toBe(1);
    expect(resolve(berlin, "2025-10-26T01:59:59Z")).toBe(1);
    expect(resolve(berlin, "2025-10-26T02:00:00Z")).toBe(2);
  });

  it("agrees with minutes counted by hand, in UTC", () => {
    const time = fc.integer({ min: 0, max: 1_439 });
    const text = (minute: number): string =>
      `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
    fc.assert(
      fc.property(time, time, fc.integer({ min: 0, max: 4_102_444_800_000 }), (from, to, wallMs) => {
        fc.pre(from !== to);
        const minute = Math.floor(wallMs / 60_000) % 1_440;
        let inside = false;
        for (let m = from; m !== to; m = (m + 1) % 1_440) inside ||= m === minute;
        const schedule: TtlSchedule = { windows: [{ from: text(from), to: text(to), ttl: 1 }], otherwise: 2 };
        expect(resolveTtl(schedule, "value", "key", wallMs)).toBe(inside ? 1 : 2);
      }),
      { numRuns: 60 },
    );
  });
});

describe("validateTtl", () => {
  it("accepts every form of a ttl", () => {
    for (const ttl of [0, 1_000, "5m", () => "5m", officeHours, { windows: [], otherwise: "1m" }] satisfies Ttl[]) {
      expect(() => validateTtl(ttl, "ttl")).not.toThrow();
    }
  });

  it.each<[string, unknown, string]>([
    ["ttl", "soon", '"soon"'],
    ["ttl", null, "null"],
    ["ttl", -1, "-1"],
    ["ttl.windows", { otherwise: 1 }, "undefined"],
    ["ttl.windows[0]", { windows: [null], otherwise: 1 }, "null"],
    ["ttl.windows[0].from", { windows: [{ from: "9:00", to: "10:00", ttl: 1 }], otherwise: 1 }, '"9:00"'],
    ["ttl.windows[0].from", { windows: [{ from: "24:00", to: "10:00", ttl: 1 }], otherwise: 1 }, '"24:00"'],
    ["ttl.windows[0].to", { windows: [{ from: "09:00", to: "24:01", ttl: 1 }], otherwise: 1 }, '"24:01"'],
    ["ttl.windows[0].to", { windows: [{ from: "09:00", to: "10:60", ttl: 1 }], otherwise: 1 }, '"10:60"'],
    ["ttl.windows[0].to", { windows: [{ from: "09:00", to: "09:00", ttl: 1 }], otherwise: 1 }, '"09:00"'],
    ["ttl.windows[0].ttl", { windows: [{ from: "09:00", to: "10:00", ttl: "x" }], otherwise: 1 }, '"x"'],
    ["ttl.windows[0].ttl", { windows: [{ from: "09:00", to: "10:00" }], otherwise: 1 }, "undefined"],
    ["ttl.otherwise", { windows: [] }, "undefined"],
    ["ttl.timeZone", { windows: [], otherwise: 1, timeZone: "Mars/Olympus" }, '"Mars/Olympus"'],
  ])("names %s and what it got, for %j", (option, ttl, value) => {
    const message = messageOf(() => validateTtl(ttl as Ttl, "ttl"));
    expect(message).toContain(`\`${option}\``);
    expect(message).toContain(value);
  });
});
