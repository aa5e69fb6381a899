import type { Database } from "../database.js";
import type { Contact, Deal, DealCard, Pipeline, Stage, User } from "../model.js";

/** The tables as they are: nothing here knows of a cache. */
export class SqlUsers {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async getById(tenant: string, id: number): Promise<User | undefined> {
    const [user] = await this.#database.query<User>("select id, name, role from users where tenant = $1 and id = $2", [
      tenant,
      id,
    ]);
    return user;
  }

  /** Resolves after the commit: a statement outside a transaction commits by itself. */
  async rename(tenant: string, id: number, name: string): Promise<User | undefined> {
    const text = "update users set name = $3 where tenant = $1 and id = $2 returning id, name, role";
    const [user] = await this.#database.query<User>(text, [tenant, id, name]);
    return user;
  }
}

const CONTACT = `id, name, email, created_at as "createdAt", fields, photo`;

export class SqlContacts {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async getById(tenant: string, id: number): Promise<Contact | undefined> {
    const [contact] = await this.#database.query<Contact>(
      `select ${CONTACT} from contacts where tenant = $1 and id = $2`,
      [tenant, id],
    );
    return contact && plainContact(contact);
  }

  async getByEmail(tenant: string, email: string): Promise<Contact | undefined> {
    const [contact] = await this.#database.query<Contact>(
      `select ${CONTACT} from contacts where tenant = $1 and email = $2`,
      [tenant, email],
    );
    return contact && plainContact(contact);
  }

  /** The contacts that are there, in no particular order. */
  async getMany(tenant: string, ids: readonly number[]): Promise<Contact[]> {
    const text = `select ${CONTACT} from contacts where tenant = $1 and id = any($2)`;
    return (await this.#database.query<Contact>(text, [tenant, ids])).map(plainContact);
  }

  async list(tenant: string, page: { readonly skip: number; readonly limit: number }): Promise<Contact[]> {
    const text = `select ${CONTACT} from contacts where tenant = $1 order by id limit $2 offset $3`;
    return (await this.#database.query<Contact>(text, [tenant, page.limit, page.skip])).map(plainContact);
  }

  /** Upper and lower case, and blanks around the words, make no difference. */
  async search(tenant: string, words: string): Promise<Contact[]> {
    const text = `select ${CONTACT} from contacts where tenant = $1 and strpos(lower(name), lower($2)) > 0 order by id limit 20`;
    return (await this.#database.query<Contact>(text, [tenant, words.trim()])).map(plainContact);
  }

  async count(tenant: string): Promise<number> {
    const [row] = await this.#database.query<{ count: number }>(
      "select count(*)::int as count from contacts where tenant = $1",
      [tenant],
    );
    return row?.count ?? 0;
  }

  async create(tenant: string, contact: Omit<Contact, "id" | "createdAt">): Promise<Contact> {
    const text = `insert into contacts (tenant, id, name, email, fields, photo)
      select $1, coalesce(max(id), 0) + 1, $2, $3, $4, $5 from contacts where tenant = $1 returning ${CONTACT}`;
    const values = [tenant, contact.name, contact.email, JSON.stringify(contact.fields), contact.photo];
    const [created] = await this.#database.query<Contact>(text, values);
    return plainContact(created as Contact);
  }

  async rename(tenant: string, id: number, name: string): Promise<Contact | undefined> {
    const text = `update contacts set name = $3 where tenant = $1 and id = $2 returning ${CONTACT}`;
    const [contact] = await this.#database.query<Contact>(text, [tenant, id, name]);
    return contact && plainContact(contact);
  }
}

/** The driver's byte array is a class of Node's own; the rest of the program knows plain bytes. */
function plainContact(contact: Contact): Contact {
  return contact.photo === null ? contact : { ...contact, photo: new Uint8Array(contact.photo) };
}

const DEAL = `deals.id, contact_id as "contactId", product_id as "productId", stage, amount`;

export class SqlDeals {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async getById(tenant: string, id: number): Promise<Deal | undefined> {
    const [deal] = await this.#database.query<Deal>(`select ${DEAL} from deals where tenant = $1 and id = $2`, [
      tenant,
      id,
    ]);
    return deal;
  }

  async board(tenant: string, stage: Stage): Promise<DealCard[]> {
    const text = `select ${DEAL}, name as contact from deals join contacts using (tenant)
      where tenant = $1 and contacts.id = contact_id and stage = $2 order by deals.id`;
    return this.#database.query<DealCard>(text, [tenant, stage]);
  }

  async move(tenant: string, id: number, stage: Stage): Promise<Deal | undefined> {
    const text = `update deals set stage = $3 where tenant = $1 and id = $2 returning ${DEAL}`;
    const [deal] = await this.#database.query<Deal>(text, [tenant, id, stage]);
    return deal;
  }

  async pipeline(tenant: string): Promise<Pipeline> {
    const text =
      "select stage, sum(amount)::bigint as amount from deals where tenant = $1 group by stage order by stage";
    const rows = await this.#database.query<{ stage: Stage; amount: bigint }>(text, [tenant]);
    return new Map(rows.map(({ stage, amount }) => [stage, amount]));
  }
}
