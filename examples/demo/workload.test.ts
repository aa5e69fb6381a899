import { beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../tracker/random.js";
import { Workload, type Catalog, type Operation } from "./workload.js";

/** 100 issues in 4 projects of 2 tenants. */
const CATALOG: Catalog = {
  issues: 100,
  projectOf: Int32Array.from({ length: 101 }, (_, id) => (id === 0 ? 0 : 1 + (id % 4))),
  keyOf: Array.from({ length: 101 }, (_, id) => `KEY-${id}`),
  tenantOf: ["", "a", "b", "a", "b"],
  usersOf: new Map([
    ["a", [1, 2]],
    ["b", [3]],
  ]),
};

function draw(count: number, writes: number, seed = 1): Operation[] {
  const workload = new Workload({ catalog: CATALOG, random: seededRandom(seed), writes });
  return Array.from({ length: count }, () => workload.next() as Operation);
}

describe("Workload", () => {
  it("draws the same operations for the same seed", () => {
    expect(draw(200, 0.1)).toEqual(draw(200, 0.1));
    expect(draw(200, 0.1)).not.toEqual(draw(200, 0.1, 2));
  });

  it("writes as often as it is told", () => {
    const share = (writes: number): number =>
      draw(10_000, writes).filter(({ method }) => method !== "GET").length / 10_000;
    expect([share(0), share(1)]).toEqual([0, 1]);
    expect(share(0.1)).toBeCloseTo(0.1, 1);
  });

  it("draws every kind of read and write", () => {
    const paths = draw(20_000, 0.2).map(
      ({ method, path }) =>
        `${method} ${path.replace(/\?.*/, "").replaceAll(/(?<=\/)(\d+|KEY-\d+|a|b)(?=\/|$)/g, ":")}`,
    );
    expect([...new Set(paths)].toSorted()).toEqual([
      "GET /tenants/:",
      "GET /tenants/:/analytics",
      "GET /tenants/:/count",
      "GET /tenants/:/issues/:",
      "GET /tenants/:/issues/by-key/:",
      "GET /tenants/:/projects/:",
      "GET /tenants/:/projects/:/issues",
      "GET /tenants/:/search",
      "GET /tenants/:/users/:",
      "PATCH /tenants/:/issues",
      "PATCH /tenants/:/issues/:",
      "PATCH /tenants/:/projects/:",
      "POST /tenants/:/issues",
    ]);
  });

  it("asks for issues, projects and people under their own tenant only", () => {
    for (const { path, kind, id } of draw(5_000, 0.2)) {
      const tenant = path.split("/")[2] ?? "";
      if ((kind === "issue" || kind === "patch-issue") && id <= CATALOG.issues) {
        expect(tenant).toBe(CATALOG.tenantOf[CATALOG.projectOf[id] ?? 0]);
      }
      const user = /users\/(\d+)/.exec(path)?.[1];
      if (user !== undefined) {
        expect(CATALOG.usersOf.get(tenant)).toContain(Number(user));
      }
    }
  });

  it("reads what a trace names, and asks for a key only when a read is next", async () => {
    const workload = new Workload({ catalog: CATALOG, random: seededRandom(1), writes: 0.5 });
    let asked = 0;
    const reads: Operation[] = [];
    for (let index = 0; index < 200; index++) {
      const operation = await workload.next(() =>
        index % 2 === 0 ? (asked += 1) % 100 || 100 : Promise.resolve(1 + ((asked += 1) % 100)),
      );
      if (operation.method === "GET") {
        reads.push(operation);
      }
    }
    expect(reads.length).toBe(asked);
    expect(reads.every(({ path, id }) => path.endsWith(`/issues/${id}`))).toBe(true);
  });
});

describe("an answer of 404", () => {
  let workload: Workload;
  beforeEach(() => {
    workload = new Workload({ catalog: CATALOG, random: seededRandom(1), writes: 1 });
    workload.created(101, "a");
  });

  it("is wrong for an issue of the data set", () => {
    expect(workload.meaningOfMissing(100, "a")).toBe("wrong");
  });

  it("means absent for a created issue under its tenant, and may be right under another's", () => {
    expect(workload.meaningOfMissing(101, "a")).toBe("absent");
    expect(workload.meaningOfMissing(101, "b")).toBe("unknown");
    expect(workload.meaningOfMissing(102, "a")).toBe("unknown");
  });

  it("is right once the deletion was asked for", () => {
    let deletion: Operation | undefined;
    for (let tries = 0; tries < 1_000 && deletion === undefined; tries++) {
      const operation = workload.next() as Operation;
      deletion = operation.method === "DELETE" ? operation : undefined;
    }
    expect(deletion).toMatchObject({ path: "/tenants/a/issues/101", id: 101 });
    expect(workload.meaningOfMissing(101, "a")).toBe("deleted");
    expect(workload.tenantOfIssue(101)).toBe("a");
  });
});
