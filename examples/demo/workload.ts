import { COMPONENTS, PROBLEMS } from "../tracker/words.js";
import { PRIORITIES, STATUSES } from "../tracker/model.js";
import type { Random } from "../tracker/random.js";
import { scatter, zipfRanks } from "./zipf.js";

/** The rows the load is aimed at. Issues have the ids 1 … issues, as the data set makes them. */
export interface Catalog {
  readonly issues: number;
  /** By issue id. */
  readonly projectOf: Int32Array;
  /** By issue id. */
  readonly keyOf: readonly string[];
  /** By project id. */
  readonly tenantOf: readonly string[];
  /** By tenant: the ids of its people. */
  readonly usersOf: ReadonlyMap<string, readonly number[]>;
}

/** What an answer is about, and so what in it can be checked. */
export type OperationKind =
  | "issue"
  | "issues"
  | "project"
  | "other"
  | "patch-issue"
  | "patch-issues"
  | "patch-project"
  | "post-issue"
  | "delete-issue";

export interface Operation {
  readonly kind: OperationKind;
  readonly method: "GET" | "PATCH" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: string | undefined;
  /** The issue or project it is about; 0 when it is about none alone. */
  readonly id: number;
}

export interface WorkloadOptions {
  readonly catalog: Catalog;
  readonly random: Random;
  /** Share of operations that write, 0 to 1. */
  readonly writes: number;
}

type ReadName =
  | "issue"
  | "issue by key"
  | "list"
  | "search"
  | "project"
  | "user"
  | "count"
  | "analytics"
  | "tenant"
  | "created issue";

/** What is read how often, by share; the rest are issues. A board asks for a list, its project and some counts, then for issues. */
const READS: readonly (readonly [ReadName, share: number])[] = [
  ["issue", 0.5],
  ["list", 0.15],
  ["issue by key", 0.1],
  ["project", 0.08],
  ["user", 0.06],
  ["search", 0.04],
  ["count", 0.04],
  ["analytics", 0.01],
  ["tenant", 0.01],
  ["created issue", 0.01],
];

/** YCSB's skew: with 50,000 issues the hottest hundred get nearly half of the reads. */
const THETA = 0.99;
/** Created issues remembered for reading and deleting. */
const MAX_CREATED = 200;

/** Draws what a tracker's users do: most read an issue, some lists and searches, few write. */
export class Workload {
  readonly #catalog: Catalog;
  readonly #random: Random;
  readonly #writes: number;
  readonly #hotIssue: () => number;
  readonly #hotSearch: () => number;
  readonly #created: { id: number; tenant: string }[] = [];
  /** Issues whose deletion was asked for, with their tenants. */
  readonly #deleting = new Map<number, string>();

  constructor({ catalog, random, writes }: WorkloadOptions) {
    this.#catalog = catalog;
    this.#random = random;
    this.#writes = writes;
    const ranks = zipfRanks(catalog.issues, THETA, random);
    const place = scatter(catalog.issues);
    this.#hotIssue = () => place(ranks()) + 1;
    this.#hotSearch = zipfRanks(PROBLEMS.length * COMPONENTS.length, THETA, random);
  }

  /** The next operation; with `readKey`, its reads are of the issue that names (a trace's), which is asked only when a read is next. */
  next(readKey?: () => number | Promise<number>): Operation | Promise<Operation> {
    if (this.#random.next() < this.#writes) {
      return this.#write();
    }
    if (readKey === undefined) {
      return this.#read();
    }
    const issue = readKey();
    return typeof issue === "number" ? this.#readIssue(issue) : issue.then((id) => this.#readIssue(id));
  }

  /** An issue for a change past the API. */
  hotIssue(): number {
    return this.#hotIssue();
  }

  created(id: number, tenant: string): void {
    this.#created.push({ id, tenant });
    if (this.#created.length > MAX_CREATED) {
      this.#created.shift();
    }
  }

  /**
   * What an answer of 404 to a read of this issue means: `absent` is version 0, to be checked; `deleted` is right; `unknown` may
   * be right (not created yet, another tenant's, or created too long ago to remember); `wrong` is an error.
   */
  meaningOfMissing(id: number, tenantInPath: string): "absent" | "deleted" | "unknown" | "wrong" {
    if (id <= this.#catalog.issues) {
      return "wrong";
    }
    if (this.#deleting.has(id)) {
      return "deleted";
    }
    const created = this.#created.find((issue) => issue.id === id);
    return created?.tenant === tenantInPath ? "absent" : "unknown";
  }

  projectOfIssue(id: number): number {
    return this.#catalog.projectOf[id] ?? 0;
  }

  /** "" for an issue that is neither of the data set nor deleted by this load. */
  tenantOfIssue(id: number): string {
    return this.#deleting.get(id) ?? this.#catalog.tenantOf[this.#catalog.projectOf[id] ?? 0] ?? "";
  }

  #read(): Operation {
    const id = this.#hotIssue();
    const project = this.#catalog.projectOf[id] ?? 0;
    const tenant = this.tenantOfIssue(id);
    const root = `/tenants/${tenant}`;
    const other = (path: string): Operation => ({ kind: "other", method: "GET", path: root + path, id: 0 });
    switch (this.#pickRead()) {
      case "issue":
        return this.#readIssue(id);
      case "issue by key":
        return { kind: "issue", method: "GET", path: `${root}/issues/by-key/${this.#catalog.keyOf[id] ?? ""}`, id };
      case "list":
        return {
          kind: "issues",
          method: "GET",
          path: `${root}/projects/${project}/issues?${this.#listQuery()}`,
          id: 0,
        };
      case "search":
        return {
          kind: "issues",
          method: "GET",
          path: `${root}/search?q=${encodeURIComponent(this.#searchWords())}`,
          id: 0,
        };
      case "project":
        return { kind: "project", method: "GET", path: `${root}/projects/${project}`, id: project };
      case "user":
        return other(`/users/${this.#random.pick(this.#catalog.usersOf.get(tenant) ?? [])}`);
      case "count":
        return other(
          `/count${this.#random.next() < 0.7 ? `?project=${project}&status=${this.#random.pick(STATUSES)}` : ""}`,
        );
      case "analytics":
        return other("/analytics");
      case "tenant":
        return other("");
      case "created issue":
        return this.#readCreated();
    }
  }

  #pickRead(): ReadName {
    let dice = this.#random.next();
    for (const [name, share] of READS) {
      dice -= share;
      if (dice < 0) {
        return name;
      }
    }
    return "issue";
  }

  #listQuery(): string {
    const page = this.#random.next() < 0.8 ? 1 : 2;
    const status = this.#random.next() < 0.3 ? `&status=${this.#random.pick(STATUSES)}` : "";
    return `page=${page}&limit=20${status}`;
  }

  /** Issues made a moment ago, some of them deleted since: an answer "not found" must not outlive either. */
  #readCreated(): Operation {
    const newest = this.#created.at(-1);
    if (newest === undefined) {
      return this.#readIssue(this.#hotIssue());
    }
    const { id, tenant } = this.#random.pick(this.#created);
    // The one that will be created next is not there yet.
    const wanted = this.#random.next() < 0.2 ? newest.id + 1 : id;
    return { kind: "issue", method: "GET", path: `/tenants/${tenant}/issues/${wanted}`, id: wanted };
  }

  #searchWords(): string {
    const rank = this.#hotSearch();
    return `${PROBLEMS[rank % PROBLEMS.length] ?? ""} ${COMPONENTS[Math.floor(rank / PROBLEMS.length)] ?? ""}`;
  }

  #readIssue(id: number): Operation {
    return { kind: "issue", method: "GET", path: `/tenants/${this.tenantOfIssue(id)}/issues/${id}`, id };
  }

  #write(): Operation {
    const dice = this.#random.next();
    const id = this.#hotIssue();
    const project = this.#catalog.projectOf[id] ?? 0;
    const root = `/tenants/${this.tenantOfIssue(id)}`;
    if (dice < 0.9) {
      return {
        kind: "patch-issue",
        method: "PATCH",
        path: `${root}/issues/${id}`,
        body: JSON.stringify(this.#changes()),
        id,
      };
    }
    if (dice < 0.905) {
      // Rare, and costly: every issue of the project shows its name.
      const body = JSON.stringify({ description: `Reviewed in week ${1 + this.#random.below(52)}.` });
      return { kind: "patch-project", method: "PATCH", path: `${root}/projects/${project}`, body, id: project };
    }
    if (dice < 0.92) {
      // Ids of other tenants are passed over by the API.
      const ids = Array.from(new Set([id, this.#hotIssue(), this.#hotIssue(), this.#hotIssue()]));
      return {
        kind: "patch-issues",
        method: "PATCH",
        path: `${root}/issues`,
        body: JSON.stringify({ ids, changes: this.#changes() }),
        id: 0,
      };
    }
    const doomed = dice > 0.97 ? this.#created.shift() : undefined;
    if (doomed !== undefined) {
      this.#deleting.set(doomed.id, doomed.tenant);
      return {
        kind: "delete-issue",
        method: "DELETE",
        path: `/tenants/${doomed.tenant}/issues/${doomed.id}`,
        id: doomed.id,
      };
    }
    return {
      kind: "post-issue",
      method: "POST",
      path: `${root}/issues`,
      body: JSON.stringify(this.#newIssue(root.slice("/tenants/".length), project)),
      id: 0,
    };
  }

  #changes(): object {
    return this.#random.next() < 0.5
      ? { status: this.#random.pick(STATUSES) }
      : { priority: this.#random.pick(PRIORITIES) };
  }

  #newIssue(tenant: string, projectId: number): object {
    const reporterId = this.#random.pick(this.#catalog.usersOf.get(tenant) ?? []);
    return {
      projectId,
      reporterId,
      title: `${this.#random.pick(PROBLEMS)} ${this.#random.pick(COMPONENTS)}`,
      labels: ["customer"],
    };
  }
}
