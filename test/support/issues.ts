/** Rows and a repository over them, as a service would have it over a database; counts its calls. */
export interface Issue {
  readonly id: number;
  readonly key: string;
  readonly projectId: number;
  readonly title: string;
}

export class Issues {
  /** The calls that reached the repository: `"getById acme 7"`. */
  readonly calls: string[] = [];
  /** Awaited by every write after it has changed the rows, so that a test can hold the answer back, or lose it. */
  answer: () => Promise<void> = async () => {};
  /** Awaited by every read after it has read the rows. */
  reply: () => Promise<void> = async () => {};
  readonly #rows = new Map<string, Map<number, Issue>>();

  async getById(tenant: string, id: number): Promise<Issue | null> {
    return this.#read(`getById ${tenant} ${id}`, () => this.#of(tenant).get(id) ?? null);
  }

  async getByKey(tenant: string, key: string): Promise<Issue | undefined> {
    return this.#read(`getByKey ${tenant} ${key}`, () => this.#all(tenant).find((issue) => issue.key === key));
  }

  /** Only the rows that are there, in no particular order. */
  async getMany(tenant: string, ids: readonly number[], options?: { readonly upperCase: boolean }): Promise<Issue[]> {
    const found = await this.#read(`getMany ${tenant} ${ids.join()}`, () =>
      this.#all(tenant)
        .filter((issue) => ids.includes(issue.id))
        .reverse(),
    );
    return options === undefined ? found : found.map((issue) => ({ ...issue, title: issue.title.toUpperCase() }));
  }

  async list(tenant: string, page: { readonly skip: number; readonly limit: number }): Promise<readonly Issue[]> {
    return this.#read(`list ${tenant} ${page.skip} ${page.limit}`, () =>
      this.#all(tenant).slice(page.skip, page.skip + page.limit),
    );
  }

  async listByProject(tenant: string, projectId: number): Promise<readonly Issue[]> {
    return this.#read(`listByProject ${tenant} ${projectId}`, () =>
      this.#all(tenant).filter((issue) => issue.projectId === projectId),
    );
  }

  async search(tenant: string, text: string, limit?: number): Promise<{ readonly hits: readonly Issue[] }> {
    const hits = (): readonly Issue[] => this.#all(tenant).filter((issue) => issue.title.includes(text));
    return this.#read(`search ${tenant} ${text}`, () => ({ hits: hits().slice(0, limit) }));
  }

  async count(tenant: string): Promise<number> {
    return this.#read(`count ${tenant}`, () => this.#of(tenant).size);
  }

  async create(tenant: string, issue: Issue): Promise<Issue> {
    this.calls.push(`create ${tenant} ${issue.id}`);
    this.#of(tenant).set(issue.id, issue);
    await this.answer();
    return issue;
  }

  async update(tenant: string, id: number, changes: Partial<Issue>): Promise<Issue | null> {
    this.calls.push(`update ${tenant} ${id}`);
    const before = this.#of(tenant).get(id);
    if (before === undefined) return null;
    const after = { ...before, ...changes };
    this.#of(tenant).set(id, after);
    await this.answer();
    return after;
  }

  async renameAll(tenant: string, title: string): Promise<number> {
    for (const issue of this.#all(tenant)) this.#of(tenant).set(issue.id, { ...issue, title });
    await this.answer();
    return this.#of(tenant).size;
  }

  async remove(tenant: string, id: number): Promise<void> {
    this.#of(tenant).delete(id);
    await this.answer();
  }

  /** Not a read that could be cached: it promises nothing. */
  tenants(): string[] {
    return [...this.#rows.keys()];
  }

  async #read<T>(call: string, rows: () => T): Promise<T> {
    this.calls.push(call);
    const read = rows();
    await this.reply();
    return read;
  }

  #all(tenant: string): Issue[] {
    return [...this.#of(tenant).values()].sort((a, b) => a.id - b.id);
  }

  #of(tenant: string): Map<number, Issue> {
    let rows = this.#rows.get(tenant);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(tenant, rows);
    }
    return rows;
  }
}

export function issue(id: number, projectId: number = 1): Issue {
  return { id, key: `PROJ-${id}`, projectId, title: `Issue ${id}` };
}
