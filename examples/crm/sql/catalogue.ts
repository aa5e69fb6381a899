import type { Database } from "../database.js";
import type { Category, Product, Setting } from "../model.js";

export class SqlCategories {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async getById(tenant: string, id: number): Promise<Category | undefined> {
    const [category] = await this.#database.query<Category>(
      "select id, name from categories where tenant = $1 and id = $2",
      [tenant, id],
    );
    return category;
  }

  async list(tenant: string): Promise<Category[]> {
    return this.#database.query<Category>("select id, name from categories where tenant = $1 order by id", [tenant]);
  }

  async rename(tenant: string, id: number, name: string): Promise<Category | undefined> {
    const text = "update categories set name = $3 where tenant = $1 and id = $2 returning id, name";
    const [category] = await this.#database.query<Category>(text, [tenant, id, name]);
    return category;
  }
}

const PRODUCT = `select products.id, category_id as "categoryId", categories.name as category, products.name, price
  from products join categories on categories.tenant = products.tenant and categories.id = category_id`;

export class SqlProducts {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async getById(tenant: string, id: number): Promise<Product | undefined> {
    const [product] = await this.#database.query<Product>(
      `${PRODUCT} where products.tenant = $1 and products.id = $2`,
      [tenant, id],
    );
    return product;
  }

  async listByCategory(tenant: string, categoryId: number): Promise<Product[]> {
    return this.#database.query<Product>(
      `${PRODUCT} where products.tenant = $1 and category_id = $2 order by products.id`,
      [tenant, categoryId],
    );
  }

  /** Changes every price; resolves to how many. */
  async reprice(tenant: string, percent: number): Promise<number> {
    const text = "update products set price = price + price * $2::int / 100 where tenant = $1 returning id";
    return (await this.#database.query(text, [tenant, percent])).length;
  }
}

export class SqlSettings {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(tenant: string, name: string): Promise<Setting | undefined> {
    const [setting] = await this.#database.query<Setting>(
      "select name, value from settings where tenant = $1 and name = $2",
      [tenant, name],
    );
    return setting;
  }

  async all(tenant: string): Promise<Setting[]> {
    return this.#database.query<Setting>("select name, value from settings where tenant = $1 order by name", [tenant]);
  }

  async put(tenant: string, name: string, value: unknown): Promise<Setting> {
    const text = `insert into settings values ($1, $2, $3) on conflict (tenant, name) do update set value = excluded.value returning name, value`;
    const [setting] = await this.#database.query<Setting>(text, [tenant, name, JSON.stringify(value)]);
    return setting as Setting;
  }
}
