/**
 * What the simulation knows better than the caches: every row's version, and how old a served value may be.
 *
 * A *floor* is the version that nothing served to a reader who comes later may be older than. It rises when an invalidation is
 * acknowledged: for its own process at once, in memory too; for all processes in what comes from the shared tier. A
 * soft invalidation raises the floor of fresh values only.
 */
export class Model {
  readonly versions: number[];
  readonly #own: Floors[];
  readonly #all: Floors;
  readonly #unproven: { readonly process: number; readonly claim: Claim }[] = [];
  /** Whether anything was ever aimed at the row: then two loads of it may rightly overlap. */
  readonly touched: boolean[];

  constructor(rows: number, processes: number) {
    this.versions = Array.from({ length: rows }, () => 1);
    this.touched = Array.from({ length: rows }, () => false);
    this.#own = Array.from({ length: processes }, () => new Floors(rows));
    this.#all = new Floors(rows);
  }

  /** Rows are written: what an invalidation sent now promises once it is acknowledged. */
  commit(rows: readonly number[], soft: boolean): Claim {
    for (const row of rows) {
      this.versions[row] = (this.versions[row] as number) + 1;
      this.touched[row] = true;
    }
    return { rows, versions: rows.map((row) => this.versions[row] as number), soft };
  }

  /** The process has its answer. Not acknowledged, the claim binds the others once it has nothing left to send. */
  settle(process: number, claim: Claim, acknowledged: boolean): void {
    this.#own[process]?.raise(claim);
    if (acknowledged) this.#all.raise(claim);
    else this.#unproven.push({ process, claim });
  }

  /** The process has sent everything it had to send again. */
  delivered(process: number): void {
    for (const [at, unproven] of [...this.#unproven.entries()].toReversed()) {
      if (unproven.process !== process) continue;
      this.#all.raise(unproven.claim);
      this.#unproven.splice(at, 1);
    }
  }

  /** The oldest version a reader in this process who starts now may be served. */
  floor(process: number, row: number, mayBeStale: boolean): number {
    return (this.#own[process] as Floors).of(row, mayBeStale);
  }

  /** The oldest version that may now come from the shared tier, to any process. */
  sharedFloor(row: number, mayBeStale: boolean): number {
    return this.#all.of(row, mayBeStale);
  }
}

export interface Claim {
  readonly rows: readonly number[];
  readonly versions: readonly number[];
  readonly soft: boolean;
}

class Floors {
  readonly #hard: number[];
  readonly #any: number[];

  constructor(rows: number) {
    this.#hard = Array.from({ length: rows }, () => 0);
    this.#any = Array.from({ length: rows }, () => 0);
  }

  raise({ rows, versions, soft }: Claim): void {
    for (const [at, row] of rows.entries()) {
      const version = versions[at] as number;
      this.#any[row] = Math.max(this.#any[row] as number, version);
      if (!soft) this.#hard[row] = Math.max(this.#hard[row] as number, version);
    }
  }

  of(row: number, mayBeStale: boolean): number {
    return (mayBeStale ? this.#hard[row] : this.#any[row]) as number;
  }
}
