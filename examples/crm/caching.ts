import { createCache, type Cache, type CacheOptions, type EntryPolicy } from "../../src/index.js";
import { repository, type CachedRepository } from "../../src/repository.js";
import type { Database } from "./database.js";
import { SqlCategories, SqlProducts, SqlSettings } from "./sql/catalogue.js";
import { SqlContacts, SqlDeals } from "./sql/people.js";

/** Seconds that each kind of row is fresh: all that bounds it where there is no feed. */
export const CACHE_TTL = {
  user: 300, // edited by its owner, at any time
  contact: 600,
  deal: 600,
  product: 3_600, // rarely changes
  category: 86_400, // almost never changes
  settings: 86_400,
} as const;

/** The table as named policies of the cache: `preset: "contact"`. */
const presets: Readonly<Record<string, EntryPolicy>> = Object.fromEntries(
  Object.entries(CACHE_TTL).map(([kind, seconds]) => [kind, { ttl: seconds * 1_000 }]),
);

export function createCrmCache(options: CacheOptions = {}): Cache {
  return createCache({ name: "crm", presets, staleIfError: "1h", ...options });
}

/** The tag of a tenant's pipeline report, which every change of a deal drops. */
export function pipelineTag(tenant: string): readonly [string, string] {
  return ["pipeline", tenant];
}

type Scope = "tenant";

/** The CRM's data through one cache: the repositories' own methods, and `cache` next to them for invalidation by hand. */
export interface Repositories {
  readonly contacts: CachedRepository<
    SqlContacts,
    "getById" | "getByEmail" | "getMany" | "list" | "search" | "count",
    Scope
  >;
  readonly deals: CachedRepository<SqlDeals, "getById" | "board", Scope>;
  readonly categories: CachedRepository<SqlCategories, "getById" | "list", Scope>;
  readonly products: CachedRepository<SqlProducts, "getById" | "listByCategory", Scope>;
  readonly settings: CachedRepository<SqlSettings, "get" | "all", Scope>;
}

/**
 * Declares once what is cached, and for how long. What drops it are the rows themselves: `feed.ts`. The tenant is the first
 * argument of every method and the scope of every entry: a read without one is refused, and no row of one tenant touches another's.
 */
export function cacheRepositories(cache: Cache, database: Database): Repositories {
  return {
    contacts: repository(cache, new SqlContacts(database), {
      name: "contact",
      scope: "tenant",
      // 2: contacts got their photo. Processes still at version 1 read and write keys of their own.
      version: 2,
      preset: "contact",
      reads: {
        getById: "id",
        getByEmail: "key",
        getMany: { kind: "many", absent: undefined },
        list: "list",
        // What the search does not tell apart is one entry.
        search: { kind: "search", key: (_tenant, words) => ({ q: words.trim().toLowerCase() }) },
        count: "count",
      },
    }),
    deals: repository(cache, new SqlDeals(database), {
      name: "deal",
      scope: "tenant",
      preset: "deal",
      reads: { getById: "id", board: "list" },
      // A card shows its contact's name.
      belongsTo: { contact: (deal) => deal.contactId },
    }),
    categories: repository(cache, new SqlCategories(database), {
      name: "category",
      scope: "tenant",
      preset: "category",
      reads: { getById: "id", list: { kind: "list", preset: "category" } },
    }),
    products: repository(cache, new SqlProducts(database), {
      name: "product",
      scope: "tenant",
      preset: "product",
      reads: { getById: "id", listByCategory: { kind: "list", as: "category", preset: "product" } },
      // A product shows its category's name.
      belongsTo: { category: (product) => product.categoryId },
    }),
    settings: repository(cache, new SqlSettings(database), {
      name: "settings",
      scope: "tenant",
      preset: "settings",
      reads: { get: "key", all: { kind: "list", preset: "settings" } },
      id: (setting) => setting.name,
    }),
  };
}
