/** What was started and must be undone, the last first. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<void> }[] = [];
  #running: Promise<readonly string[]> | undefined;

  /** @param what for the message when it fails: "drop the schema" */
  add(what: string, undo: () => Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /** Undoes all of it, one after the other, whatever fails; resolves with what did. Twice is once. */
  run(): Promise<readonly string[]> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        failures.push(`could not ${step.what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return failures;
  }
}
