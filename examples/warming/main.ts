import { cacheStore, runWarmPlan } from "tiercache/warm";
import { cache, plan, users } from "./plan.js";

// What a process finds that starts on a host where another one ran before: nothing to load.
const before = await users.find(7);
console.log(before === undefined ? "a cold host" : "a warm host");

const report = await runWarmPlan(cache, plan, {
  perSecond: 200,
  // A killed run goes on from here, whichever process of the host takes it up.
  store: cacheStore(cache),
  onProgress: ({ step, part }) => {
    if (part === 1) console.log(`the last step was ${step}`);
  },
});
console.log(`${report.done} tasks, ${report.failed} failed, ${cache.stats().total.loads} values loaded`);
await cache.close();
