import type { Ora } from "ora";
import type { Host } from "./host.ts";
import { sanitizeLine } from "./sanitize.ts";

/**
 * A line at the bottom that says what is going on, gone when there is something to say. On a terminal only: elsewhere, and
 * in accessible mode, it shows nothing.
 */
export class Progress {
  readonly #spinner: Ora | undefined;
  #lineOpen = false;

  private constructor(spinner: Ora | undefined) {
    this.#spinner = spinner;
  }

  static async create(host: Host, enabled: boolean): Promise<Progress> {
    if (!enabled) return new Progress(undefined);
    const { default: ora } = await import("ora");
    return new Progress(
      ora({
        stream: host.stderr as unknown as NodeJS.WritableStream,
        isEnabled: true,
        discardStdin: false,
        color: "cyan",
      }),
    );
  }

  /** Shows `text`, in place of what was shown. */
  show(text: string): void {
    if (!this.#spinner) return;
    this.#spinner.text = sanitizeLine(text);
    if (!this.#lineOpen && !this.#spinner.isSpinning) this.#spinner.start();
  }

  /** Makes way for `write`, which writes to the screen, and comes back below it once a line is complete. */
  around(text: string, write: () => void): void {
    const spinning = this.#spinner?.isSpinning ?? false;
    if (spinning) this.#spinner?.stop();
    write();
    this.#lineOpen = text !== "" && !text.endsWith("\n");
    if (spinning && !this.#lineOpen) this.#spinner?.start();
  }

  /** Makes way for as long as `work` takes. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    const text = this.#spinner?.isSpinning ? this.#spinner.text : undefined;
    this.#spinner?.stop();
    try {
      return await work();
    } finally {
      if (text !== undefined) this.show(text);
    }
  }

  stop(): void {
    this.#spinner?.stop();
  }
}
