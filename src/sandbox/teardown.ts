/** What has to be undone, newest first, once: a sandbox is stopped by its user, by a command, or by a failed start. */
export class Teardown {
  /** Resolves when everything is undone; rejects with the first step that failed, after the others were tried. */
  readonly done: Promise<void>;
  readonly #steps: Array<() => Promise<void>> = [];
  #begin: ((work: Promise<void>) => void) | undefined;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#begin = resolve;
    });
    // Whoever calls run() gets the rejection; `done` alone must not end the process.
    this.done.catch(() => undefined);
  }

  add(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  /** Begins, or joins what has begun. @param why it could not go on: `done` rejects with it. */
  run(why?: Error): Promise<void> {
    this.#begin?.(this.#undo(why));
    this.#begin = undefined;
    return this.done;
  }

  async #undo(why: Error | undefined): Promise<void> {
    const failures: unknown[] = why ? [why] : [];
    for (const step of this.#steps.toReversed()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}
