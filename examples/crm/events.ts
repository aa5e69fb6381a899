import { EventEmitter } from "node:events";
import type { Cache } from "../../src/index.js";
import { pipelineTag, type Repositories } from "./caching.js";
import type { Users } from "./users.js";

/** What happened in the business and shows in no row: nothing in the database could tell. */
export interface DomainEvents {
  /** Nothing of the tenant may stay in any memory, though its rows are kept until the contract is over. */
  "tenant left": { readonly tenant: string };
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
  for (const repository of [contacts, deals, categories, products, settings]) {
    events.on("tenant left", ({ tenant }) => repository.cache.in(tenant).invalidateAll());
  }
  events.on("tenant left", ({ tenant }) => users.forgetAll(tenant));
  events.on("tenant left", ({ tenant }) => cache.invalidate({ tag: pipelineTag(tenant) }));
}
