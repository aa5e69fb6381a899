import type { Cache, Entity, ScopedEntity } from "../../src/index.js";
import type { User } from "./model.js";
import type { SqlUsers } from "./sql/people.js";

/** The three ways to read and write through a cache by hand, on one table. */
export class Users {
  readonly #cache: Cache;
  readonly #sql: SqlUsers;
  readonly #users: ScopedEntity<number, User | undefined>;

  constructor(cache: Cache, sql: SqlUsers) {
    this.#cache = cache;
    this.#sql = sql;
    this.#users = cache.entity({
      name: "user",
      scope: "tenant",
      preset: "user",
      load: (id, { scope }) => sql.getById(String(scope), id),
    });
  }

  /** Read-through: the cache knows how to load a user, the caller only asks. */
  get(tenant: string, id: number): Promise<User | undefined> {
    return this.#in(tenant).get(id);
  }

  /** Write-through: stores what was committed. Of two that race, the last one committed stays, or none. */
  rename(tenant: string, id: number, name: string): Promise<User | undefined> {
    return this.#in(tenant).writeThrough(id, () => this.#sql.rename(tenant, id, name));
  }

  /** Cache-aside: this call says what to look for and how to make it. What it is made of are its tags. */
  greeting(tenant: string, id: number): Promise<string> {
    return this.#cache.getOrLoad(
      ["greeting", tenant, id],
      async (context) => {
        context.tags(greetingTag(tenant, id), greetingsTag(tenant));
        const user = await this.get(tenant, id);
        return user === undefined ? "Hello" : `Hello ${user.name}`;
      },
      { preset: "user" },
    );
  }

  /** Drops what was put aside about a user; the user's own entry is the write-through's. */
  async forgetGreeting(tenant: string, id: number): Promise<void> {
    await this.#cache.invalidate({ tag: greetingTag(tenant, id) });
  }

  /** Drops every user of the tenant, and what was put aside about them. */
  async forgetAll(tenant: string): Promise<void> {
    await Promise.all([this.#in(tenant).invalidateAll(), this.#cache.invalidate({ tag: greetingsTag(tenant) })]);
  }

  #in(tenant: string): Entity<number, User | undefined> {
    return this.#users.in(tenant);
  }
}

function greetingTag(tenant: string, id: number): readonly [string, string, number] {
  return ["greeting of", tenant, id];
}

function greetingsTag(tenant: string): readonly [string, string] {
  return ["greetings of", tenant];
}
