/** A row of the demonstration's database. */
export interface DemoRow {
  readonly id: number;
  /** Grows with each change of it. */
  readonly version: number;
  readonly text: string;
}

/** A database that is not there: it takes its time, can be switched off, and knows what it was asked. */
export class DemoSource {
  readonly #versions: Uint32Array;
  readonly #latency: number;
  queries = 0;
  refused = 0;
  isDown = false;

  /** @param latency of a query, in milliseconds */
  constructor(rows: number, latency: number) {
    this.#versions = new Uint32Array(rows);
    this.#latency = latency;
  }

  async read(id: number): Promise<DemoRow> {
    this.queries += 1;
    await this.#takeTime();
    const version = this.versionOf(id);
    return { id, version, text: `row ${id}, version ${version}` };
  }

  async write(id: number): Promise<void> {
    await this.#takeTime();
    this.#versions[id] = this.versionOf(id) + 1;
  }

  versionOf(id: number): number {
    return this.#versions[id] ?? 0;
  }

  async #takeTime(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#latency * (0.5 + Math.random())));
    if (!this.isDown) return;
    this.refused += 1;
    throw new Error("the database is away");
  }
}
