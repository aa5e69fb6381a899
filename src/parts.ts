/** Keys written, or invalidated, together at most: a shared tier answers nobody else meanwhile. */
export const MAX_TOGETHER = 1_000;

/** So many as are written or invalidated together, and so on. */
export function* inParts<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += MAX_TOGETHER) yield all.slice(start, start + MAX_TOGETHER);
}

/** Does one part after the other, every one of them whatever becomes of those before it; then throws the first failure. */
export async function eachPart<P>(parts: Iterable<P>, run: (part: P) => Promise<unknown>): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  for (const part of parts) {
    try {
      await run(part);
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}
