import { EventEmitter } from "node:events";
import type { Cache } from "../../src/index.js";
import { pipelineTag, type Repositories } from "./caching.js";
import type { Users } from "./users.js";

/** What happened in the business, told by whoever did it, after its commit. */
export interface DomainEvents {
  /** A nightly job has written contacts past the repositories. */
  "contacts imported": { readonly tenant: string; readonly ids: readonly number[] };
  /** The back office has rearranged a category. */
  "category changed": { readonly tenant: string; readonly id: number };
  "user renamed": { readonly tenant: string; readonly id: number };
  /** The tenant's data was restored from a backup. */
  "tenant restored": { readonly tenant: string };
}

type Handler<E> = (event: E) => Promise<unknown>;

/** An event emitter whose `publish` resolves when every handler has done its work: whoever publishes may then rely on it. */
export class EventBus {
  readonly #emitter = new EventEmitter();

  on<N extends keyof DomainEvents>(name: N, handler: Handler<DomainEvents[N]>): void {
    this.#emitter.on(name, (event: DomainEvents[N], done: Promise<unknown>[]) => done.push(handler(event)));
  }

  /** @throws what a handler threw, after all have ended. */
  async publish<N extends keyof DomainEvents>(name: N, event: DomainEvents[N]): Promise<void> {
    const done: Promise<unknown>[] = [];
    this.#emitter.emit(name, event, done);
    for (const outcome of await Promise.allSettled(done)) if (outcome.status === "rejected") throw outcome.reason;
  }
}

/** Events → invalidation, in one place. */
export function invalidateOnEvents(events: EventBus, cache: Cache, repositories: Repositories, users: Users): void {
  const { contacts, categories, deals, products, settings } = repositories;
  events.on("contacts imported", ({ tenant, ids }) => contacts.cache.in(tenant).invalidate(...ids));
  events.on("category changed", ({ tenant, id }) => categories.cache.in(tenant).invalidate(id));
  events.on("user renamed", ({ tenant, id }) => users.forgetGreeting(tenant, id));
  for (const repository of [contacts, deals, categories, products, settings]) {
    events.on("tenant restored", ({ tenant }) => repository.cache.in(tenant).invalidateAll());
  }
  events.on("tenant restored", ({ tenant }) => users.forgetAll(tenant));
  events.on("tenant restored", ({ tenant }) => cache.invalidate({ tag: pipelineTag(tenant) }));
}
