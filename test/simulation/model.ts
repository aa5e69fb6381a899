import type { Instance } from "./instance.js";

/** What a write or an invalidation promises once it is acknowledged: nothing older than these versions of its rows. */
export interface Claim {
  readonly owner: Instance;
  readonly rows: readonly number[];
  readonly versions: readonly number[];
  readonly soft: boolean;
  /** Failovers there were when it was made. */
  readonly epoch: number;
  /** Its caller has its answer: it binds its own process. */
  isSettled: boolean;
  /** When the server is known to have acknowledged it: it binds everybody. */
  provenAt: number;
  /** The record may have been lost by a failover: it binds nobody until those who knew of it have sent it again. */
  isSuspended: boolean;
  /** Its record's position, where the caller learns it. */
  position: number | undefined;
}

/**
 * What the simulation knows better than the caches: every row's version, and how old a served value may be.
 *
 * A *floor* is the version that nothing served to a reader who comes later may be older than. It rises when an invalidation is
 * acknowledged: for its own process at once, in memory too; for all processes in what comes from the shared tier. A
 * soft invalidation raises the floor of fresh values only. A process that starts has nothing yet, so all that was
 * acknowledged before binds its memory as well.
 *
 * A failover to a replica that lags suspends what may have been lost with it, and all that is acknowledged from then on:
 * until every process has noticed, positions of two histories meet. What any living process knew binds again at the
 * next calm.
 */
export class Model {
  readonly versions: number[];
  /** Whether anything was ever aimed at the row: then two loads of it may rightly overlap. */
  readonly touched: boolean[];
  readonly #claims: Claim[] = [];
  readonly #own: Floors[];
  readonly #all: Floors;
  #epoch = 0;
  /** A failover has happened since the last calm. */
  #isWeak = false;

  constructor(rows: number, processes: number) {
    this.versions = Array.from({ length: rows }, () => 1);
    this.touched = Array.from({ length: rows }, () => false);
    this.#own = Array.from({ length: processes }, () => new Floors(rows));
    this.#all = new Floors(rows);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Rows are written: what an invalidation sent now promises once it is acknowledged. */
  commit(owner: Instance, rows: readonly number[], soft: boolean): Claim {
    for (const row of rows) this.raise(row);
    return this.claim(owner, rows, soft);
  }

  /** There is a newer version of the row. */
  raise(row: number): void {
    this.versions[row] = (this.versions[row] as number) + 1;
    this.touched[row] = true;
  }

  /** What an invalidation of these rows, sent now, promises once it is acknowledged. */
  claim(owner: Instance, rows: readonly number[], soft: boolean): Claim {
    const versions = rows.map((row) => this.versions[row] as number);
    const claim: Claim = {
      owner,
      rows,
      versions,
      soft,
      epoch: this.#epoch,
      isSettled: false,
      provenAt: Number.POSITIVE_INFINITY,
      isSuspended: false,
      position: undefined,
    };
    this.#claims.push(claim);
    return claim;
  }

  /** The process has its answer. Not acknowledged, the claim binds the others once it has nothing left to send. */
  settle(claim: Claim, acknowledged: boolean, now: number): void {
    claim.isSettled = true;
    if (this.#isWeak || claim.epoch !== this.#epoch) claim.isSuspended = true;
    if (acknowledged) claim.provenAt = now;
    this.#bind(claim);
  }

  /** Whether the process has settled claims that the server has not acknowledged. */
  hasUnproven(owner: Instance): boolean {
    return this.#claims.some((claim) => isUnproven(claim, owner));
  }

  /** The process has sent everything it had to send again. */
  delivered(owner: Instance, now: number): void {
    for (const claim of this.#claims) {
      if (!isUnproven(claim, owner)) continue;
      claim.provenAt = now;
      this.#bind(claim);
    }
  }

  /** A process starts in the place of another, which is dead: whose promises are nobody's. */
  started(process: number): void {
    this.#own[process] = this.#all.copy();
  }

  /** Changes made since then may be lost. */
  failover(since: number): void {
    this.#epoch += 1;
    this.#isWeak = true;
    for (const claim of this.#claims) if (claim.isSettled && claim.provenAt >= since) claim.isSuspended = true;
    this.#all.clear();
    for (const floors of this.#own) floors.clear();
    for (const claim of this.#claims) this.#bind(claim);
  }

  /** Every process has noticed what happened, and has sent again what it knew: `known` says whether a living one did. */
  calmed(known: (claim: Claim) => boolean): void {
    if (!this.#isWeak) return;
    this.#isWeak = false;
    for (const claim of this.#claims) {
      if (!claim.isSuspended || !claim.isSettled || !known(claim)) continue;
      claim.isSuspended = false;
      this.#bind(claim);
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

  /** The oldest version that whoever has heard all that was acknowledged before `time` may serve. */
  floorBefore(time: number, row: number, mayBeStale: boolean): number {
    let floor = 0;
    for (const { provenAt, isSuspended, soft, rows, versions } of this.#claims) {
      if (provenAt >= time || isSuspended || (soft && mayBeStale)) continue;
      const at = rows.indexOf(row);
      if (at !== -1) floor = Math.max(floor, versions[at] as number);
    }
    return floor;
  }

  #bind(claim: Claim): void {
    if (claim.isSuspended || !claim.isSettled) return;
    if (claim.owner.isAlive) (this.#own[claim.owner.process] as Floors).raise(claim);
    if (claim.provenAt !== Number.POSITIVE_INFINITY) this.#all.raise(claim);
  }
}

function isUnproven(claim: Claim, owner: Instance): boolean {
  return claim.owner === owner && claim.isSettled && claim.provenAt === Number.POSITIVE_INFINITY;
}

class Floors {
  readonly #hard: number[];
  readonly #any: number[];

  constructor(rows: number) {
    this.#hard = Array.from({ length: rows }, () => 0);
    this.#any = Array.from({ length: rows }, () => 0);
  }

  copy(): Floors {
    const copy = new Floors(0);
    copy.#hard.push(...this.#hard);
    copy.#any.push(...this.#any);
    return copy;
  }

  clear(): void {
    this.#hard.fill(0);
    this.#any.fill(0);
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
