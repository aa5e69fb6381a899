/** Bytes in use after everything dead is gone: the heap, and what arrays and buffers hold outside it. */
export function heapBytes(): number {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error("Expected to run with --expose-gc");
  // More than once: what a collection finds dead may hold memory outside the heap that only the next counts as gone.
  for (let i = 0; i < 4; i += 1) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
