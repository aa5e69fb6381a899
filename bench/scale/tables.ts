import { loadOf, mostKeys, type Layout } from "./model.js";
import { simulateCell } from "./simulation.js";
import { UNITS } from "./units.js";

/** A table of docs/scale.md. */
export interface ScaleTable {
  readonly name: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Shares of a core that the log may have: half a master's, a tenth of a process's. */
const SHARES = { master: 0.5, process: 0.1 } as const;

const PLAIN: Layout = {
  processes: 10,
  masters: 1,
  keysPerSecond: 0,
  keysPerRecord: 1,
  perSubscription: 1,
  cells: 1,
  heartbeat: 500,
};

/** All of them, the simulated ones too: the same on every machine. */
export function scaleTables(): readonly ScaleTable[] {
  return [unitTable(), broadcastTable(), stepsTable(), targetTable(), lagTable()];
}

export function asMarkdown({ head, rows }: ScaleTable): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

function unitTable(): ScaleTable {
  const { append, appendKey, deliver, deliverKey, apply, applyKey } = UNITS;
  const rows: readonly (readonly [string, number, number])[] = [
    ["a server appends a record", append, appendKey],
    ["a server hands it to one subscriber", deliver, deliverKey],
    ["a process reads and applies it", apply, applyKey],
  ];
  return {
    name: "units",
    head: ["step", "first key, µs", "each further key, µs"],
    rows: [
      ...rows.map(([step, first, further]) => [step, figure(first), figure(further)]),
      ["a server answers a read that came alone", figure(UNITS.read), ""],
      ["a server answers one of 64 that came together", figure(UNITS.readTogether), ""],
    ],
  };
}

/** One log, everybody hears everything: what the product does by itself. */
function broadcastTable(): ScaleTable {
  const rows = [10, 100, 1_000, 10_000].map((processes) => {
    const one = { ...PLAIN, processes };
    const hundred = { ...one, keysPerRecord: 100 };
    return [
      count(processes),
      count(mostKeys(one, UNITS, SHARES)),
      count(mostKeys(hundred, UNITS, SHARES)),
      figure(loadOf(one, UNITS).fanOut),
      figure(loadOf(one, UNITS).heartbeatCores),
    ];
  });
  const head = [
    "processes",
    "keys/s, 1 a record",
    "keys/s, 100 a record",
    "first to last subscriber, ms",
    "heartbeats, cores of a master",
  ];
  return { name: "broadcast", head, rows };
}

/** The same ten thousand processes, one measure after the other. */
function stepsTable(): ScaleTable {
  const all = { ...PLAIN, processes: 10_000, masters: 100 };
  const steps: readonly (readonly [string, Layout])[] = [
    ["100 masters, a record a key", all],
    ["records of 100 keys", { ...all, keysPerRecord: 100 }],
    ["one subscription for 16 processes", { ...all, keysPerRecord: 100, perSubscription: 16 }],
    ["10 cells", { ...all, keysPerRecord: 100, perSubscription: 16, cells: 10 }],
    ["100 cells", { ...all, keysPerRecord: 100, perSubscription: 16, cells: 100 }],
    ["100 cells, records of 1,000 keys", { ...all, keysPerRecord: 1_000, perSubscription: 16, cells: 100 }],
  ];
  return {
    name: "steps",
    head: ["measure (each with those above)", "keys/s in all", "what gives out first"],
    rows: steps.map(([step, layout]) => [step, count(mostKeys(layout, UNITS, SHARES)), limitOf(layout)]),
  };
}

/** Ten million keys a second, what it takes. */
function targetTable(): ScaleTable {
  const target = { ...PLAIN, processes: 10_000, masters: 100, keysPerSecond: 10_000_000, perSubscription: 16 };
  const rows = [
    { cells: 1, keysPerRecord: 100 },
    { cells: 10, keysPerRecord: 100 },
    { cells: 100, keysPerRecord: 100 },
    { cells: 100, keysPerRecord: 1_000 },
    { cells: 500, keysPerRecord: 100, masters: 500 },
  ].map((change) => {
    const layout = { ...target, ...change };
    const load = loadOf(layout, UNITS);
    const shape = `${count(layout.cells)} cells, ${count(layout.masters)} masters, ${count(layout.keysPerRecord)} keys a record`;
    const masterCores = load.masterCores + load.heartbeatCores;
    return [shape, figure(masterCores), figure(load.processCores), count(load.recordsHeard)];
  });
  return {
    name: "target",
    head: ["10,000 processes, 10,000,000 keys/s", "cores a master", "cores a process", "records/s heard"],
    rows,
  };
}

/** What waiting does to the bound, simulated. */
function lagTable(): ScaleTable {
  const rows: string[][] = [];
  for (const subscriptions of [10, 100, 1_000]) {
    for (const share of [0.25, 0.5, 0.8, 0.95]) {
      const layout = { ...PLAIN, processes: subscriptions };
      const recordsPerSecond = share / loadOf({ ...layout, keysPerSecond: 1 }, UNITS).masterCores;
      const processCores = loadOf({ ...layout, keysPerSecond: recordsPerSecond }, UNITS).processCores;
      const lag = simulateCell(
        { subscriptions, keysPerRecord: 1, recordsPerSecond, busy: 0.5, slice: 2_000, records: 10_000, seed: 1 },
        UNITS,
      );
      const percent = `${Math.round(share * 100)} %`;
      rows.push([
        count(subscriptions),
        percent,
        count(recordsPerSecond),
        figure(processCores),
        figure(lag.p50),
        figure(lag.p99),
        figure(lag.most),
      ]);
    }
  }
  const head = ["subscriptions", "master's core", "records/s", "cores a process", "p50 ms", "p99 ms", "most ms"];
  return { name: "lag", head, rows };
}

function limitOf(layout: Layout): string {
  const { masterCores, processCores } = loadOf({ ...layout, keysPerSecond: 1 }, UNITS);
  return masterCores / SHARES.master > processCores / SHARES.process ? "the masters" : "the processes";
}

/** Three significant digits. */
function figure(value: number): string {
  return value >= 1_000 ? count(value) : String(Number(value.toPrecision(3)));
}

/** A whole number, three digits of it. */
function count(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 1 : 0 });
}
