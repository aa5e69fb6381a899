import { createCache } from "tiercache";
import { FakeClock } from "tiercache/testing";

// Time that the program moves by hand, so that nobody waits; yours needs no clock.
const clock = new FakeClock();
const cache = createCache({
  clock,
  jitter: 0,
  ttl: "1m",
  staleWhileRevalidate: "10m",
  staleIfError: "1h",
  negativeTtl: "5s",
});

let version = 0;
let broken = false;
const page = () =>
  cache.getOrLoad("page", async () => {
    if (broken) throw new Error("The source is away");
    return `version ${(version += 1)}`;
  });

console.log("first:", await page());
await clock.advance(2 * 60_000);
console.log("stale, at once:", await page());
await clock.advance(0); // the refresh it began has ended
console.log("after the refresh:", await page());

broken = true;
await clock.advance(30 * 60_000);
console.log("on error:", await page());

// A schedule by time of day, a time from the value, a time said by the loader.
await cache.set("rates", 1, {
  ttl: { windows: [{ from: "09:00", to: "17:30", ttl: "1m" }], otherwise: "1h", timeZone: "Europe/Berlin" },
});
await cache.set("deal", { open: false }, { ttl: (deal) => ((deal as { open: boolean }).open ? "1m" : "1d") });
await cache.getOrLoad("token", ({ ttl }) => {
  ttl("30s");
  return "a token that its issuer lets live so long";
});
await cache.close();
