import type { FedEntity } from "../../src/feed/change-feed.js";
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

  /**
   * Write-through: stores what was committed. Of two that race, the last one committed stays, or none. The feed cannot know whose
   * write it hears of and drops it again, a moment later: until then it is this that makes the write be seen at once.
   */
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

  /** For the feed: what a row of `users` is. */
  get entity(): FedEntity {
    return this.#users;
  }

  /** Drops every user of the tenant, and what was put aside about them. */
  async forgetAll(tenant: string): Promise<void> {
    await Promise.all([this.#in(tenant).invalidateAll(), this.#cache.invalidate({ tag: greetingsTag(tenant) })]);
  }

  #in(tenant: string): Entity<number, User | undefined> {
    return this.#users.in(tenant);
  }
}

/** The tag of what was put aside about a user. */
export function greetingTag(tenant: string, id: number): readonly [string, string, number] {
  return ["greeting of", tenant, id];
}

function greetingsTag(tenant: string): readonly [string, string] {
  return ["greetings of", tenant];
}
