import { orderOf, seeded, type WriteOrder, type WritePlan, type WriteRecord } from "./protocol.js";

/** How long the writes under way are waited for at the end of a plan. */
const LAST_PATIENCE = 12_000;

/** A plan being carried out. */
export interface Writing {
  stop(): Promise<WriteRecord[]>;
}

/** Writes by chance of the plan's seed, without waiting for one write to settle before the next. */
export function startWriting(write: (order: WriteOrder) => Promise<WriteRecord>, plan: WritePlan): Writing {
  const records: WriteRecord[] = [];
  const random = seeded(plan.seed);
  const underWay = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const how = plan.hows[Math.floor(random() * plan.hows.length)] ?? "key";
    const writing = write(orderOf(how, plan, random)).then((record) => {
      underWay.delete(writing);
      records.push(record);
    });
    underWay.add(writing);
  }, plan.every);
  return {
    async stop() {
      clearInterval(timer);
      const until = Date.now() + LAST_PATIENCE;
      while (underWay.size > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
      return records;
    },
  };
}
