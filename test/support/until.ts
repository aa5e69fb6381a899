/** Asks again until it is so; fails when it has not been for ten seconds. */
export async function until(question: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await question())) {
    if (performance.now() > end) throw new Error("Expected it to be so within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
