import type { Cache } from "../../src/api.js";
import type { cached, createDecorators, invalidates } from "../../src/decorators.js";

/** What the classes are decorated with: handed in, so that this file can be compiled by itself. */
export interface Decorators {
  readonly cached: typeof cached;
  readonly invalidates: typeof invalidates;
  readonly createDecorators: typeof createDecorators;
}

export interface Rate {
  readonly pair: string;
  readonly rate: number;
}

export interface Rates {
  readonly calls: string[];
  find(from: string, to: string, locale?: string): Promise<Rate | null>;
  plain(...args: readonly unknown[]): Promise<number>;
  secret(): Promise<string>;
  open(day: string): Promise<string>;
  some(pair: string): Promise<string>;
  update(from: string, to: string, rate: number): Promise<Rate>;
  reset(): Promise<string>;
}

export interface RatesClass {
  readonly calls: readonly string[];
  all(market: string): Promise<string>;
  new (market?: string, own?: Cache): Rates;
}

interface Placed {
  readonly own: Cache;
  readonly market: string;
}

export function decoratedRates({ cached, invalidates, createDecorators }: Decorators, cache: Cache): RatesClass {
  const bound = createDecorators(cache);

  return class Rates {
    static readonly calls: string[] = [];
    readonly market: string;
    readonly own: Cache;
    readonly calls: string[] = [];
    rate = 1;
    #secret = "secret";

    constructor(market: string = "main", own: Cache = cache) {
      this.market = market;
      this.own = own;
    }

    @bound.cached({
      name: "rates.find",
      ttl: "1m",
      key: (from: string, to: string) => [from, to],
      tags: (found: Rate | null, from: string) => [["currency", from], ...(found === null ? ["absent"] : [])],
    })
    async find(from: string, to: string, _locale?: string): Promise<Rate | null> {
      this.calls.push(`find ${from} ${to}`);
      return to === "???" ? null : { pair: `${from}/${to}`, rate: this.rate };
    }

    @bound.cached({ name: "rates.plain", tags: ["plain"] })
    async plain(...args: readonly unknown[]): Promise<number> {
      this.calls.push(`plain ${args.length}`);
      return this.calls.length;
    }

    @bound.cached({ name: "rates.private" })
    async secret(): Promise<string> {
      return this.#secret;
    }

    @cached({ cache: (self: Placed) => self.own, name: "rates.own", instance: (self: Placed) => self.market })
    async open(day: string): Promise<string> {
      this.calls.push(`open ${day}`);
      return `${this.market} on ${day}`;
    }

    @bound.cached({ name: "rates.some", when: (pair: string) => pair !== "" })
    async some(pair: string): Promise<string> {
      this.calls.push(`some ${pair}`);
      return pair;
    }

    @bound.cached({ name: "rates.static" })
    static async all(market: string): Promise<string> {
      this.calls.push(`all ${market}`);
      return market;
    }

    @bound.invalidates((updated: Rate | undefined, from: string) => ({
      tag: ["currency", updated?.pair.split("/")[0] ?? from],
    }))
    async update(from: string, to: string, rate: number): Promise<Rate> {
      this.rate = rate;
      if (rate < 0) throw new RangeError("the answer was lost");
      return { pair: `${from}/${to}`, rate };
    }

    @invalidates([{ tag: "plain" }, { tag: "absent" }], { cache: (self: Placed) => self.own })
    async reset(): Promise<string> {
      return this.#secret;
    }
  };
}
