import type { QueryCache } from "./queries.js";
import type { Statement } from "./queries-statement.js";
import type { Transaction } from "./transaction.js";

/** How a session's connection can be asked for what it knows itself. */
export interface SessionProbe {
  /** The state of the last `ReadyForQuery`: "I" idle, "T" in a transaction, "E" in a failed one; unknown when absent. */
  readonly status?: (() => unknown) | undefined;
}

/**
 * One connection as the cache sees it: its transaction, and the settings that change what a query answers.
 *
 * For implementers. A statement is *submitted* when the user's call is made and *done* when its answer is here; drivers
 * answer in order. A transaction counts from the submission of `BEGIN`, so that a read sent right behind it bypasses
 * the cache; everything else takes effect when it is done, and only if it succeeded. What cannot be known (the connection
 * broke while `COMMIT` was under way) is taken for committed: to invalidate too much costs a load.
 */
export class Session {
  readonly #queries: QueryCache;
  readonly #probe: SessionProbe;
  #transaction: Transaction | undefined;
  /** `BEGIN`s under way. */
  #begins = 0;
  #underWay = 0;
  readonly #settings = new Map<string, string>();
  #isUnknown = false;

  constructor(queries: QueryCache, probe: SessionProbe = {}) {
    this.#queries = queries;
    this.#probe = probe;
  }

  get isInTransaction(): boolean {
    return this.#begins > 0 || this.#transaction?.isOpen === true || this.#isToldOpen;
  }

  /** One that was begun where nobody saw it. */
  get #isToldOpen(): boolean {
    const status = this.#underWay === 0 ? this.#probe.status?.() : undefined;
    return status === "T" || status === "E";
  }

  /** What was set on it, as part of a key; `undefined` when that cannot be told. */
  get settings(): string | undefined {
    if (this.#isUnknown) return undefined;
    return Array.from(this.#settings, ([name, value]) => `${name}=${value}`)
      .sort()
      .join("\n");
  }

  /**
   * Runs a text of statements and does what follows from it. Must be reached synchronously from the user's call.
   *
   * @param commandsOf the command tags of the answer, one per statement, where the driver gives them.
   */
  async run<T>(
    sql: string,
    execute: () => Promise<T>,
    commandsOf?: (answer: T) => readonly (string | undefined)[],
  ): Promise<T> {
    const statements = this.#queries.statementsOf(sql);
    const opened = this.#submit(statements);
    this.#underWay += 1;
    let answer: T;
    try {
      answer = await execute();
    } catch (error) {
      this.#done(statements);
      await this.#failed(statements, error, opened);
      throw error;
    }
    this.#done(statements);
    await this.#succeeded(statements, sql, commandsOf?.(answer) ?? []);
    this.#reconcile();
    return answer;
  }

  /** The driver has begun a transaction by a call of its own. */
  begin(transaction: Transaction): void {
    transaction.begin();
    this.#transaction = transaction;
  }

  /** It has committed, as far as anybody knows. */
  async commit(): Promise<void> {
    await this.#queries.flush(this.#transaction?.commit() ?? []);
  }

  rollback(): void {
    this.#transaction?.rollback();
  }

  savepoint(name: string): void {
    this.#transaction?.savepoint(name);
  }

  release(name: string): void {
    this.#transaction?.release(name);
  }

  rollbackTo(name: string): void {
    this.#transaction?.rollbackTo(name);
  }

  /** The connection is gone, and what it had not committed with it. */
  lost(): void {
    this.rollback();
    this.#settings.clear();
    this.#isUnknown = false;
  }

  /** @returns the transaction that was opened for a `BEGIN` among them. */
  #submit(statements: readonly Statement[]): Transaction | undefined {
    let opened: Transaction | undefined;
    for (const { kind } of statements) {
      if (kind !== "begin") continue;
      this.#begins += 1;
      if (this.#transaction?.isOpen !== true) opened = this.#open(true);
    }
    return opened;
  }

  #done(statements: readonly Statement[]): void {
    this.#underWay -= 1;
    for (const { kind } of statements) if (kind === "begin") this.#begins -= 1;
  }

  #open(enters: boolean): Transaction {
    const { transactions } = this.#queries;
    const transaction = enters ? transactions.enter() : transactions.prepare();
    this.begin(transaction);
    return transaction;
  }

  async #succeeded(
    statements: readonly Statement[],
    sql: string,
    commands: readonly (string | undefined)[],
  ): Promise<void> {
    for (const [at, statement] of statements.entries()) {
      switch (statement.kind) {
        case "begin":
          if (this.#transaction?.isOpen !== true) this.#open(false);
          break;
        case "commit":
          // The commit of a failed transaction succeeds, and rolls back.
          if (commands[at] === "ROLLBACK") this.rollback();
          else await this.commit();
          if (statement.chain) this.#open(false);
          break;
        case "rollback":
          this.rollback();
          if (statement.chain) this.#open(false);
          break;
        case "savepoint":
          this.savepoint(statement.name);
          break;
        case "release":
          this.release(statement.name);
          break;
        case "rollback-to":
          this.rollbackTo(statement.name);
          break;
        case "write":
          await this.#wrote(statement.tables);
          break;
        case "set":
        case "reset":
          this.#set(statement);
          break;
        case "unsure":
          this.#queries.report({ type: "unrecognised", sql, why: statement.why });
          break;
        case "read":
        case "other":
          break;
      }
    }
  }

  async #failed(statements: readonly Statement[], error: unknown, opened: Transaction | undefined): Promise<void> {
    const isRefused = isServerError(error);
    const kinds = new Set(statements.map((statement) => statement.kind));
    if (statements.length === 1) {
      if (kinds.has("begin")) opened?.rollback();
      if (kinds.has("rollback")) this.rollback();
      if (kinds.has("commit")) await (isRefused ? this.rollback() : this.commit());
      if (!isRefused) for (const statement of statements) await this.#mayHaveWritten(statement);
      return;
    }
    // Of several, some may have been done, a COMMIT among them.
    for (const statement of statements) await this.#mayHaveWritten(statement);
    if (kinds.has("commit")) await this.commit();
    if (kinds.has("set") || kinds.has("reset")) this.#isUnknown = true;
    this.#reconcile();
  }

  async #mayHaveWritten(statement: Statement): Promise<void> {
    if (statement.kind === "write") await this.#wrote(statement.tables);
  }

  async #wrote(tables: readonly string[]): Promise<void> {
    await this.#queries.wrote(tables, this.#transaction);
  }

  #set(statement: Extract<Statement, { kind: "set" | "reset" }>): void {
    if (statement.kind === "reset") {
      // RESET ALL leaves the role as it is.
      for (const name of this.#settings.keys()) {
        if (statement.all === "session" || !["role", "session authorization"].includes(name))
          this.#settings.delete(name);
      }
      if (statement.all === "session") this.#isUnknown = false;
      return;
    }
    // In a transaction it is taken back by a rollback, or to a savepoint: not followed.
    if (statement.name === undefined || this.isInTransaction) this.#isUnknown = true;
    else if (statement.value === undefined) this.#settings.delete(statement.name);
    else this.#settings.set(statement.name, statement.value);
  }

  /** What the server says of the connection comes before what was read from texts. */
  #reconcile(): void {
    if (this.#underWay > 0 || this.#begins > 0) return;
    if (this.#probe.status?.() === "I") this.rollback();
    else if (this.#isToldOpen && this.#transaction?.isOpen !== true) this.#open(false);
  }
}

/**
 * The server refused it, and so did nothing; anything else leaves open what was done. `pg` gives the severity; an adapter of
 * Prisma's wraps it, or keeps the code alone (PostgreSQL documentation, appendix A: classes 2…, 4… and P0 refuse).
 */
export function isServerError(error: unknown): boolean {
  const cause: unknown = fieldOf(error, "cause");
  if (fieldOf(error, "severity") === "ERROR" || fieldOf(cause, "severity") === "ERROR") return true;
  const code = fieldOf(cause, "originalCode");
  // 40003: the server itself does not know.
  return typeof code === "string" && /^(?:[24]|P0)/.test(code) && code !== "40003";
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
