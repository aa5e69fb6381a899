import type { CaseResult, ContenderResult } from "../report.js";
import type { Setting } from "../suite.js";
import { runAlone } from "./child.js";
import { once } from "./once.js";
import { SHAPES } from "./shapes.js";

const MIB = 2 ** 20;

/** What one child found. */
export interface Filled {
  /** What the heap grew by. */
  readonly heap: number;
  readonly entries: number;
  /** What the cache believes that it holds. */
  readonly bytes: number;
  /** CPU microseconds of a set. */
  readonly micros: number;
}

/** Whether `maxBytes` is what a full cache takes of the heap: values of one shape at a time, each in a process of its own. */
export async function sizing({ quick }: Setting): Promise<CaseResult[]> {
  const maxBytes = (quick ? 16 : 64) * MIB;
  const contenders: ContenderResult[] = [];
  for (const shape of Object.keys(SHAPES)) {
    const args = ["--shape", shape, "--bytes", String(maxBytes)];
    const { heap, entries, micros } = (await runAlone("sizing-child.js", args)) as Filled;
    contenders.push(
      once(shape, micros, contenders[0], {
        entries,
        "heap MB": Math.round((heap / MIB) * 10) / 10,
        "heap / maxBytes": Math.round((heap / maxBytes) * 100) / 100,
      }),
    );
  }
  return [
    {
      name: `sizing, maxBytes ${maxBytes / MIB} MB`,
      what: "heap of a full cache against its bound (bar: 0.85 – 1.15); the cost is that of a set, the value's making included",
      baseline: contenders[0]?.name ?? "",
      contenders,
    },
  ];
}
