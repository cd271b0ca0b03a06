import type { Ora } from "ora";
import type { Host } from "./host.ts";
import { sanitizeLine } from "./sanitize.ts";

/**
 * A line at the bottom that says what is going on, gone when there is something to say. On a terminal only: elsewhere, and
 * in accessible mode, it shows nothing.
 */
export class Progress {
  readonly #host: Host | undefined;
  readonly #spinner: Ora | undefined;
  readonly #over = new AbortController();
  #lineOpen = false;
  #wanted = false;
  /** How many have the terminal now, in its place. */
  #asides = 0;
  #columns: number;

  private constructor(host: Host | undefined, spinner: Ora | undefined) {
    this.#host = host;
    this.#spinner = spinner;
    this.#columns = host?.stderr.columns ?? 0;
  }

  static async create(host: Host, enabled: boolean): Promise<Progress> {
    if (!enabled) return new Progress(undefined, undefined);
    const { default: ora } = await import("ora");
    const stream = host.stderr as unknown as NodeJS.WritableStream;
    const progress = new Progress(host, ora({ stream, isEnabled: true, discardStdin: false, color: "cyan" }));
    host.onResize(() => progress.#resized(), progress.#over.signal);
    host.onSuspend(
      () => progress.#leave(),
      () => progress.#back(),
      progress.#over.signal,
    );
    return progress;
  }

  /** Shows `text`, in place of what was shown. */
  show(text: string): void {
    if (!this.#spinner) return;
    // Its own sign and a space come before, and the last column is left free.
    this.#spinner.text = sanitizeLine(text).slice(0, Math.max(0, this.#columns - 3));
    this.#wanted = true;
    this.#spin();
  }

  /** Makes way for `write`, which writes to the screen, and comes back below it once a line is complete. */
  around(text: string, write: () => void): void {
    this.#clear();
    write();
    this.#lineOpen = text !== "" && !text.endsWith("\n");
    this.#spin();
  }

  /** Makes way for as long as `work` takes. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    this.#leave();
    try {
      return await work();
    } finally {
      this.#back();
    }
  }

  stop(): void {
    this.#wanted = false;
    this.#clear();
  }

  #leave(): void {
    this.#clear();
    this.#asides += 1;
  }

  #back(): void {
    this.#asides -= 1;
    this.#spin();
  }

  /** Where it does not spin, the cursor may stand anywhere. */
  #clear(): void {
    if (this.#spinner?.isSpinning) this.#spinner.stop();
  }

  #spin(): void {
    const free = this.#wanted && !this.#lineOpen && this.#asides === 0;
    if (this.#spinner && free && !this.#spinner.isSpinning) this.#spinner.start();
  }

  /** A terminal that becomes narrower folds the line: what was one are several then. */
  #resized(): void {
    const before = this.#columns;
    this.#columns = this.#host?.stderr.columns ?? 0;
    if (!this.#spinner?.isSpinning || this.#columns === 0) return;
    const { text } = this.#spinner;
    this.#spinner.stop();
    const folded = Math.ceil(Math.min(before - 1, text.length + 2) / this.#columns);
    if (folded > 1) this.#host?.stderr.write(`\u001b[${folded - 1}A\u001b[J`);
    this.#spinner.start(text.slice(0, Math.max(0, this.#columns - 3)));
  }
}
