/** Hands what is pushed to the one who reads, in order, until it ends. */
export class Queue<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  #over = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  push(item: T): void {
    this.#waiting.push(item);
    this.#wake?.();
  }

  /** Nothing more will be pushed. */
  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  /** Ends it: whoever reads gets what was pushed before, then the error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      // All that is there at once: shifting one by one from a long list costs its length each time.
      yield* this.#waiting.splice(0);
      if (this.#waiting.length > 0) continue;
      if (this.#failure) throw this.#failure.error;
      if (this.#over) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
