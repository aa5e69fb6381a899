/**
 * An object that stands for `target`, with some of its members replaced.
 *
 * Everything else is the target's own, read at each access: methods run with the target as `this`, so private members
 * work, and calls between the target's own methods do not pass through here. `instanceof` and `in` answer as for the
 * target. Writing a replaced member throws, as for any read-only property.
 *
 * The proxy stands on an empty object, not on the target: over a frozen target a proxy may replace nothing.
 */
export function facade(target: object, members: ReadonlyMap<PropertyKey, unknown>): object {
  const bound = new WeakMap<object, unknown>();
  const valueOf = (property: PropertyKey): unknown => {
    if (members.has(property)) return members.get(property);
    const value: unknown = Reflect.get(target, property);
    return typeof value === "function" && property !== "constructor" ? bind(value, target, bound) : value;
  };
  return new Proxy(Object.create(null) as object, {
    get: (_, property) => valueOf(property),
    set: (_, property, value) => !members.has(property) && Reflect.set(target, property, value, target),
    has: (_, property) => members.has(property) || Reflect.has(target, property),
    deleteProperty: (_, property) => !members.has(property) && Reflect.deleteProperty(target, property),
    defineProperty: () => false,
    getPrototypeOf: () => Reflect.getPrototypeOf(target),
    setPrototypeOf: () => false,
    preventExtensions: () => false,
    ownKeys: () => Reflect.ownKeys(target),
    getOwnPropertyDescriptor: (_, property) => {
      const own = Reflect.getOwnPropertyDescriptor(target, property);
      return (
        own && { value: valueOf(property), writable: true, enumerable: own.enumerable === true, configurable: true }
      );
    },
  });
}

/** The same function for the same method, so that it can be compared, and added and removed as a listener. */
function bind(method: object, target: object, bound: WeakMap<object, unknown>): unknown {
  let own = bound.get(method);
  if (own === undefined) {
    own = Object.assign(
      (...args: readonly unknown[]): unknown => Reflect.apply(method as () => unknown, target, args),
      method,
    );
    bound.set(method, own);
  }
  return own;
}
