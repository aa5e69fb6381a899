import { expectTypeOf } from "vitest";

import { createCache, key } from "../src/index.js";

const cache = createCache();

// The value's type is the loader's, also when the loader uses its context.
expectTypeOf(cache.getOrLoad("k", () => 1)).toEqualTypeOf<Promise<number>>();
expectTypeOf(
  cache.getOrLoad(key`user:${1}`, async (context) => {
    context.tags("t");
    return { name: "Ann" };
  }),
).toEqualTypeOf<Promise<{ name: string }>>();

const contacts = cache.entity({
  name: "contact",
  scope: "tenant",
  load: async (id: number, { scope }) => ({ id, tenant: String(scope) }),
  tags: (contact) => [contact.tenant],
});
expectTypeOf(contacts.in("acme").get(1)).toEqualTypeOf<Promise<{ id: number; tenant: string }>>();
// @ts-expect-error a scoped entity is read in a scope
void contacts.get(1);

const settings = cache.entity({ name: "settings", load: (id: string) => ({ id, on: true }) });
expectTypeOf(settings.get("a")).toEqualTypeOf<Promise<{ id: string; on: boolean }>>();
// @ts-expect-error the id's type is the loader's
void settings.get(1);

expectTypeOf(cache.get("k")).toEqualTypeOf<Promise<unknown>>();
expectTypeOf(cache.get<number>("k")).toEqualTypeOf<Promise<number | undefined>>();

const wrapped = cache.wrap(async (a: number, b: string) => `${a}${b}`, { name: "f" });
expectTypeOf(wrapped).toBeCallableWith(1, "b");
expectTypeOf(wrapped(1, "b")).toEqualTypeOf<Promise<string>>();
// @ts-expect-error the arguments are the function's
void wrapped("1");

// @ts-expect-error no such form
void cache.invalidate({ everything: true });
void cache.invalidate([{ key: "a" }, { tags: ["x", "y"], match: "all" }]);

const settingTag = settings.tag("a");
void cache.set("page", "html", { tags: [settingTag, settings.tag(), "page"] });
void cache.getOrLoad("page", ({ tags }) => tags(contacts.in("acme").tag(7)));
void cache.invalidate({ tags: [settingTag, "page"] });
// @ts-expect-error a tag is no key
void cache.get(settingTag);
// @ts-expect-error the id's type is the entity's
void settings.tag(1);
// @ts-expect-error an id that may be undefined would be the tag of all
void settings.tag(undefined);
// @ts-expect-error a scoped entity's things are of a scope
void contacts.tag(1);
