import { createCache, repository } from "tiercache";

const cache = createCache({ name: "crm", ttl: "10m" });
let loads = 0;

// An entity: how one kind of thing is loaded, stored, tagged, and told apart by tenant.
const projects = cache.entity<number, { readonly id: number; readonly name: string }>({
  name: "project",
  scope: "tenant",
  load: async (id, { scope }) => ({ id, name: `Project ${id} of ${String(scope)}` }),
});
const tasks = cache.entity<number, { readonly id: number; readonly projectId: number }>({
  name: "task",
  scope: "tenant",
  load: async (id) => ({ id, projectId: 3, loads: (loads += 1) }),
  // What belongs to a project goes with it.
  belongsTo: { project: (task) => task.projectId },
});

console.log(await projects.in("acme").get(3), "as", projects.in("acme").key(3));
await tasks.in("acme").get(7);
await projects.in("acme").invalidate(3);
console.log(await tasks.in("acme").get(7));

// A repository: any object with methods; its reads are cached, its writes invalidate.
class Issues {
  queries = 0;
  readonly #titles = new Map<number, string>();

  async getById(_tenant: string, id: number): Promise<{ readonly id: number; readonly title: string }> {
    this.queries += 1;
    return { id, title: this.#titles.get(id) ?? "New" };
  }

  async list(tenant: string): Promise<readonly { readonly id: number; readonly title: string }[]> {
    return [await this.getById(tenant, 1)];
  }

  async rename(_tenant: string, id: number, title: string): Promise<void> {
    this.#titles.set(id, title);
  }
}

const source = new Issues();
const issues = repository(cache, source, {
  name: "issue",
  scope: "tenant", // the first argument of every declared method
  reads: { getById: "id", list: "list" },
  writes: { rename: { ids: (_tenant, id) => [id] } },
});

await issues.getById("acme", 1);
await issues.getById("acme", 1);
console.log("read twice:", source.queries, "query");
await issues.rename("acme", 1, "Renamed");
console.log((await issues.getById("acme", 1)).title, (await issues.list("acme"))[0]?.title);

await cache.close();
