/**
 * A copy that its reader may change, of an answer that was kept: the cache gives frozen objects and `Uint8Array`s where
 * the driver gave ordinary ones and `Buffer`s.
 */
export function thawed<T>(value: T): T {
  return thaw(value) as T;
}

function thaw(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(thaw);
  if (value instanceof Uint8Array) {
    return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  if (value instanceof Date) return new Date(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  // Whatever else it is, it was never stored, and is its reader's own.
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const part = thaw(Reflect.get(value, key));
    if (key === "__proto__")
      Object.defineProperty(copy, key, { value: part, enumerable: true, writable: true, configurable: true });
    else copy[key] = part;
  }
  return copy;
}
