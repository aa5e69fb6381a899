import type { KeyInput } from "./keys.js";
import type { Shape } from "./entity-shape.js";

type AnyShape = Shape<KeyInput, never>;

/** Namespaces come and go, and with them what is declared in them. */
const MOST = 10_000;
const VERSION = /^v\d+$/;

/** What the path of an entity's entry says. */
export interface EntityPath {
  readonly namespace: string;
  readonly scope: string;
  readonly entity: string;
  readonly id: string;
  readonly version: number;
}

/** The entities of a cache by namespace and name, so that an entry that is met by its path is read as its entity reads it. */
export class DeclaredEntities {
  readonly #shapes = new Map<string, AnyShape>();

  add<Id extends KeyInput, T>(namespace: string, shape: Shape<Id, T>): void {
    // Only what says nothing of the types of ids and values is asked of it.
    this.#shapes.set(`${namespace}\n${shape.definition.name}`, shape as unknown as AnyShape);
    if (this.#shapes.size <= MOST) return;
    const oldest = this.#shapes.keys().next();
    if (oldest.done !== true) this.#shapes.delete(oldest.value);
  }

  /** Of the version that the path names; `undefined` for a raw key, and for what is not declared here. */
  of(path: string): AnyShape | undefined {
    const parts = entityPath(path);
    if (parts === undefined) return undefined;
    const shape = this.#shapes.get(`${parts.namespace}\n${parts.entity}`);
    return shape?.version === parts.version ? shape : undefined;
  }

  all(): readonly AnyShape[] {
    return [...this.#shapes.values()];
  }
}

/** `<scope>:<entity>:<id>:v<version>`, behind its namespace if it has one; `undefined` for a raw key. */
export function entityPath(path: string): EntityPath | undefined {
  const segments = path.split(":");
  const version = segments.pop() ?? "";
  if (!VERSION.test(version)) return undefined;
  const namespace = path.startsWith("/") ? (segments.shift() ?? "") : "";
  const [scope, entity, ...id] = segments;
  if (scope === undefined || entity === undefined || id.length === 0) return undefined;
  return { namespace, scope, entity, id: id.join(":"), version: Number(version.slice(1)) };
}
