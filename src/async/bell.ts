import { callAfter } from "./wait.ts";

/** Lets one wait for a time or for somebody who rings, whichever comes first. A ring that nobody waits for is kept for the next. */
export class Bell {
  #rung = false;
  #waiting: (() => void) | undefined;

  /** @param signal rings when it aborts. */
  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.ring(), { once: true });
  }

  ring(): void {
    this.#rung = true;
    this.#waiting?.();
  }

  /** @param ms infinite: until somebody rings. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = callAfter(ms, resolve);
        this.#waiting = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#rung = false;
    this.#waiting = undefined;
  }
}
