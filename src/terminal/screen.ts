import type { Host, TextSink } from "./host.ts";
import type { FrameSize, Live } from "./live.ts";
import { Progress } from "./progress.ts";

export interface ScreenOptions {
  /** No line says what is going on. */
  readonly quiet: boolean;
  /** Static lines instead of redrawing. */
  readonly accessible: boolean;
}

/** Says at the bottom of the terminal what is going on, until it is stopped. */
export interface Busy {
  /** Says something else. */
  show(text: string): void;
  stop(): void;
}

/** A picture that has the terminal to itself, until it is ended. */
export interface Picture {
  /** What it shows may have changed. */
  refresh(): void;
  end(): void;
}

/** Who has the terminal: what is written for good, a line that says what is going on, a picture, or something else for a while. */
export class Screen {
  readonly #host: Host;
  readonly #options: ScreenOptions;
  #progress: Progress | undefined;
  #live: Live | undefined;

  constructor(host: Host, options: ScreenOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Writes a text, which is safe, for good: above what is redrawn. */
  write(text: string, sink: TextSink): void {
    const write = () => void sink.write(text);
    if (this.#live && sink.isTTY) this.#live.say(text, write);
    else if (this.#progress) this.#progress.around(text, write);
    else write();
  }

  /** Shown only to a person who sees a terminal that can redraw. */
  async busy(text: string): Promise<Busy> {
    const { stderr } = this.#host;
    const redraws = this.#redraws(stderr) && !this.#options.quiet;
    this.#progress ??= await Progress.create(this.#host, redraws);
    this.#progress.show(text);
    return this.#progress;
  }

  /**
   * @param drawer loads what makes the lines of a frame: safe text, none as wide as the terminal, no more than it has rows.
   * @returns `undefined` where nothing can be redrawn.
   */
  async live(drawer: () => Promise<(size: FrameSize) => readonly string[]>): Promise<Picture | undefined> {
    const { stdout } = this.#host;
    if (!this.#redraws(stdout)) return undefined;
    const [{ Live }, draw] = await Promise.all([import("./live.ts"), drawer()]);
    const live = new Live(stdout, draw);
    const over = new AbortController();
    this.#host.onResize(() => live.refresh(), over.signal);
    this.#host.onExit(() => live.end(), over.signal);
    this.#host.onSuspend(
      () => live.leave(),
      () => live.back(),
      over.signal,
    );
    this.#live = live;
    live.refresh();
    return {
      refresh: () => live.refresh(),
      end: () => {
        over.abort();
        live.end();
        this.#live = undefined;
      },
    };
  }

  /** Lets something else have the terminal for a while. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    if (this.#live) return this.#live.aside(work);
    return this.#progress ? this.#progress.aside(work) : work();
  }

  /** A terminal that does not know its width says 0. */
  #redraws({ isTTY, columns }: TextSink): boolean {
    return isTTY === true && Boolean(columns) && this.#host.env.TERM !== "dumb" && !this.#options.accessible;
  }
}
