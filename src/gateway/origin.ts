import { rootCertificates } from "node:tls";

import type { Clock } from "../clock.js";
import type { OriginAnswer } from "../http/exchange.js";
import type { Hearing, Upgraded } from "./ask.js";
import { OriginError } from "./failure.js";
import { OriginServer, type OriginRequest, type ServerStats } from "./origin-server.js";
import type { ResolvedOrigin } from "./resolve-config.js";
import { RetryBudget } from "./retry-budget.js";
import type { MakePool } from "./undici.js";

export interface OriginStats {
  readonly retries: number;
  readonly servers: readonly ServerStats[];
}

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Servers that answer alike: one of them is asked, and where that is safe another after it. */
export class Origin {
  readonly options: ResolvedOrigin;
  /** Certificates (PEM) that are trusted besides the well-known. */
  readonly authority: string | undefined;
  readonly #servers: readonly OriginServer[];
  readonly #budget: RetryBudget;
  #turn = 0;
  #retries = 0;

  constructor(options: ResolvedOrigin, authority: string | undefined, makePool: MakePool, clock: Clock) {
    this.options = options;
    this.authority = authority;
    const ca = authority === undefined ? undefined : [...rootCertificates, authority];
    this.#servers = options.urls.map((url) => new OriginServer(url, options, ca, makePool, clock));
    this.#budget = new RetryBudget(options.retries.most === 0 ? 0 : options.retries.budget);
  }

  /** Whether some server is thought to be well. */
  get isWell(): boolean {
    return this.#servers.some((server) => server.isWell);
  }

  get stats(): OriginStats {
    return { retries: this.#retries, servers: this.#servers.map((server) => server.stats) };
  }

  /** @throws OriginError when no server that was asked has answered. */
  async ask(request: OriginRequest, hearing: Hearing): Promise<OriginAnswer> {
    const { most, statuses } = this.options.retries;
    const asked = new Set<OriginServer>();
    this.#budget.requested();
    for (;;) {
      const server = this.#choose(asked);
      asked.add(server);
      // As many repetitions as there are other servers: what one has not answered is not asked of it again.
      const isRepeatable = asked.size <= most && asked.size < this.#servers.length;
      try {
        const answer = await server.ask(request, hearing);
        const isFailure = statuses.includes(answer.status) && SAFE.has(request.method) && request.body === null;
        if (!isFailure || !isRepeatable || !this.#budget.take()) return answer;
        await answer.body?.cancel();
      } catch (error) {
        if (!isRepeatable || !this.#mayRepeat(request, error, hearing.signal) || !this.#budget.take()) throw error;
      }
      this.#retries += 1;
    }
  }

  /** Another protocol is asked for once. */
  async askUpgrade(request: OriginRequest, upgrade: string, hearing: Hearing): Promise<Upgraded | OriginAnswer> {
    return this.#choose(new Set()).askUpgrade(request, upgrade, hearing);
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.destroy()));
  }

  /** A request that has reached no server may be sent whatever it does; one that may have, only if it changes nothing. */
  #mayRepeat(request: OriginRequest, error: unknown, signal: AbortSignal | undefined): boolean {
    if (signal?.aborted === true || request.body !== null || !(error instanceof OriginError)) return false;
    return error.isUnsent || SAFE.has(request.method);
  }

  /** Of those not asked the ones that are well, or all of them when none is: then it is better to ask than not. */
  #choose(asked: ReadonlySet<OriginServer>): OriginServer {
    const left = this.#servers.filter((server) => !asked.has(server));
    const well = left.filter((server) => server.isWell);
    const from = well.length > 0 ? well : left;
    const turn = this.#turn;
    this.#turn = (turn + 1) % Number.MAX_SAFE_INTEGER;
    // In turn among those with equally little to do.
    const least = this.options.balance === "least-pending" ? Math.min(...from.map(({ pending }) => pending)) : 0;
    const free = this.options.balance === "least-pending" ? from.filter(({ pending }) => pending === least) : from;
    const chosen = free[turn % free.length];
    if (chosen === undefined) throw new OriginError("destination_unavailable", true, undefined);
    return chosen;
  }
}
