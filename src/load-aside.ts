import type { Shape } from "./entity-shape.js";
import { CacheError } from "./errors.js";
import type { KeyInput, ScopeInput } from "./keys.js";

/**
 * What an entity's loader gives, around the cache: nothing is stored, and what the loader decides is nobody's. For values that
 * are only compared.
 *
 * Rejects with what the loader throws; `ERR_CACHE_ENTITY` where there is none.
 */
export async function loadAside<Id extends KeyInput, T>(
  shape: Shape<Id, T>,
  id: Id,
  { key, scope }: { readonly key: string; readonly scope: ScopeInput | undefined },
): Promise<unknown> {
  const { load, loadMany } = shape.definition;
  const aside = new AbortController();
  const { signal } = aside;
  const timer = shape.home.engine.clock.after(shape.policy.hardTimeout, () => aside.abort());
  try {
    if (load !== undefined) {
      const context = {
        key,
        signal,
        previous: undefined,
        ttl: ignore,
        tags: ignore,
        etag: ignore,
        skip: ignore,
        release: ignore,
      };
      return await shape.keptOf(load(id, { ...context, notModified: refuse, fail: refuse, scope }));
    }
    if (loadMany === undefined) throw new CacheError("ERR_CACHE_ENTITY", "The entity declares no loader");
    const values = await loadMany([id], { signal, tags: ignore, ttl: ignore, scope });
    const value = values instanceof Map ? (values as ReadonlyMap<Id, T>).get(id) : (values as readonly T[])[0];
    return shape.kept(value as T);
  } finally {
    timer.cancel();
  }
}

function ignore(): void {}

function refuse(): never {
  throw new CacheError("ERR_CACHE_ENTITY", "There is no previous value to a load that is only compared");
}
