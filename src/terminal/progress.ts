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
  #lineOpen: boolean;
  /** What is going on. */
  #text: string | undefined;
  /** What is waited for meanwhile. */
  #waiting: string | undefined;
  /** How many have the terminal now, in its place. */
  #asides = 0;
  #columns: number;

  private constructor(host: Host | undefined, spinner: Ora | undefined, lineOpen: boolean) {
    this.#host = host;
    this.#spinner = spinner;
    this.#lineOpen = lineOpen;
    this.#columns = host?.stderr.columns ?? 0;
  }

  /** @param lineOpen whether the last line on the terminal is not complete. */
  static async create(host: Host, enabled: boolean, lineOpen: () => boolean): Promise<Progress> {
    if (!enabled) return new Progress(undefined, undefined, lineOpen());
    const { default: ora } = await import("ora");
    const stream = host.stderr as unknown as NodeJS.WritableStream;
    const progress = new Progress(
      host,
      ora({ stream, isEnabled: true, discardStdin: false, color: "cyan" }),
      lineOpen(),
    );
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
    this.#text = text;
    this.#update();
  }

  /** Shows beside it what is waited for; `undefined`: nothing. */
  wait(text: string | undefined): void {
    this.#waiting = text;
    this.#update();
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

  /** Shows nothing any more. */
  leave(): void {
    this.#leave();
  }

  stop(): void {
    this.#text = undefined;
    this.#update();
  }

  #update(): void {
    if (!this.#spinner) return;
    if (!this.#wanted) return this.#clear();
    // Its own sign and a space come before, and the last column is left free.
    const room = Math.max(0, this.#columns - 3);
    const waiting = sanitizeLine(this.#waiting ?? "");
    const before = sanitizeLine(this.#text ?? "").slice(
      0,
      waiting === "" ? room : Math.max(0, room - waiting.length - 2),
    );
    this.#spinner.text = [before, waiting]
      .filter((part) => part !== "")
      .join("; ")
      .slice(0, room);
    this.#spin();
  }

  get #wanted(): boolean {
    return this.#text !== undefined || this.#waiting !== undefined;
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
