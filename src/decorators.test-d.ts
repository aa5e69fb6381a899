import type { Cache } from "./api.js";
import { cached, createDecorators, invalidates } from "./decorators.js";

/*
 * What the compiler must accept and refuse in the options of decorators. Never run.
 */

interface Contact {
  readonly id: string;
  readonly team: string;
}

declare const cache: Cache;
const on = createDecorators(cache);

export class Accepted {
  readonly own: Cache = cache;
  readonly tenant: string = "acme";

  @on.cached({
    name: "a",
    ttl: "5m",
    key: (tenant: string, id: string) => [tenant, id],
    tags: (found: Contact | null) => [found?.team ?? "none"],
  })
  async get(_tenant: string, _id: string, _deep?: boolean): Promise<Contact | null> {
    return null;
  }

  @on.cached({ name: "b" })
  async plain(_a: string, b: number): Promise<number> {
    return b;
  }

  @on.cached({ name: "c", tags: ["all"], when: (market: string) => market !== "" })
  static async all(market: string): Promise<string> {
    return market;
  }

  @cached({ cache: (self: Accepted) => self.own, name: "d", instance: (self: Accepted) => self.tenant })
  async owned(): Promise<number> {
    return 1;
  }

  @on.invalidates((after: Contact | undefined, tenant: string) => ({
    tag: ["contact", after?.id ?? "?"],
    scope: tenant,
  }))
  async update(_tenant: string, id: string, changes: object): Promise<Contact> {
    return { id, team: "", ...changes };
  }

  @on.invalidates({ entity: "contact" })
  async clear(): Promise<void> {}

  @invalidates([{ tag: "all" }], { cache: (self: Accepted) => self.own })
  async reset(_count: number): Promise<void> {}
}

export const result: Promise<Contact | null> = new Accepted().get("acme", "7", true);
// @ts-expect-error the decorated method has the parameters it had
void new Accepted().get("acme");

export class Refused {
  // @ts-expect-error the argument is text
  @on.cached({ name: "a", key: (tenant: number) => [tenant] })
  async wrongArgument(_tenant: string): Promise<number> {
    return 1;
  }

  // @ts-expect-error there is no second argument
  @on.cached({ name: "a", key: (tenant: string, id: string) => [tenant, id] })
  async missingArgument(_tenant: string): Promise<number> {
    return 1;
  }

  // @ts-expect-error the result is a number
  @on.cached({ name: "a", tags: (found: string) => [found] })
  async wrongResult(): Promise<number> {
    return 1;
  }

  // @ts-expect-error not a promise
  @on.cached({ name: "a" })
  synchronous(): number {
    return 1;
  }

  // @ts-expect-error not a method
  @on.cached({ name: "a" })
  get getter(): number {
    return 1;
  }

  // @ts-expect-error not a method
  @on.cached({ name: "a" })
  field = async (): Promise<number> => 1;

  // @ts-expect-error a name is required
  @on.cached({})
  async nameless(): Promise<number> {
    return 1;
  }

  // @ts-expect-error a key must be made of segments
  @on.cached({ name: "a", key: (id: string) => [[id]] })
  async nestedKey(_id: string): Promise<number> {
    return 1;
  }

  // @ts-expect-error the result is a number
  @on.invalidates((after: string | undefined) => ({ tag: after ?? "" }))
  async wrongWritten(): Promise<number> {
    return 1;
  }

  // @ts-expect-error the result is not there when the write rejected
  @on.invalidates((after: Contact) => ({ tag: after.id }))
  async rejected(): Promise<Contact> {
    return { id: "", team: "" };
  }

  // @ts-expect-error this class has no cache
  @cached({ cache: (self: { readonly other: Cache }) => self.other, name: "a" })
  async cacheless(): Promise<number> {
    return 1;
  }
}
