/**
 * A look that many want at once. Each gets one that began after they asked: who asks while one is under way shares the next one
 * with all others who do.
 */
export class SharedLook<T> {
  readonly #look: () => Promise<T>;
  #latest: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  constructor(look: () => Promise<T>) {
    this.#look = look;
  }

  take(): Promise<T> {
    this.#next ??= this.inTurn(() => {
      this.#next = undefined;
      return this.#look();
    });
    return this.#next;
  }

  /** Something else that must not happen during a look. */
  inTurn<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#latest.then(work);
    this.#latest = done.catch(() => undefined);
    return done;
  }
}
