import type { Host, TextSink } from "./host.ts";
import type { Key } from "./keyboard.ts";
import type { FrameSize, Live } from "./live.ts";
import { Progress } from "./progress.ts";
import { sanitizeLine } from "./sanitize.ts";

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
  /** What it shows may have changed; it is shown at once where it `answers` a key. */
  refresh(options?: { readonly answers?: boolean }): void;
  /** Gives the usual screen to `work` for as long as it takes, as if there were no picture. */
  aside<T>(work: () => Promise<T>): Promise<T>;
  end(): void;
}

/** Something that has the terminal, or a part of it, and can leave it for a while. */
interface Holder {
  leave(): void;
  back(): void;
}

/** Who has the terminal: what is written for good, a line that says what is going on, a picture, or something else for a while. */
export class Screen {
  readonly #host: Host;
  readonly #options: ScreenOptions;
  #progress: Progress | undefined;
  #creating: Promise<Progress> | undefined;
  #waiting: string | undefined;
  /** How many have the terminal in place of this. */
  #asides = 0;
  #lineOpen = false;
  #live: Live | undefined;
  /** The picture, and whoever takes the keys. */
  readonly #holders = new Set<Holder>();
  /** Another program has got something, and may show it here at any time: a line that is drawn again would be in the middle of it. */
  #passesOn = false;

  constructor(host: Host, options: ScreenOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Writes a text, which is safe, for good: above what is redrawn. */
  write(text: string, sink: TextSink): void {
    const write = () => void sink.write(text);
    this.#lineOpen = text !== "" && !text.endsWith("\n");
    if (!this.#passesOn && this.#host.isPiped && sink === this.#host.stdout) {
      this.#passesOn = true;
      this.#progress?.leave();
    }
    if (this.#picture && sink.isTTY) this.#picture.say(text, write);
    else if (this.#progress) this.#progress.around(text, write);
    else write();
  }

  /** The picture that is on the terminal. */
  get #picture(): Live | undefined {
    return this.#live?.away ? undefined : this.#live;
  }

  /** Shown only to a person who sees a terminal that can redraw. */
  async busy(text: string): Promise<Busy> {
    const progress = await this.#line();
    progress.show(text);
    return progress;
  }

  /**
   * Says what is waited for, beside what is going on; `undefined`: nothing. A terminal that cannot redraw is told once. A picture says
   * so itself.
   */
  wait(text: string | undefined): void {
    const { stderr } = this.#host;
    const begins = this.#waiting === undefined;
    this.#waiting = text;
    if (this.#options.quiet || !stderr.isTTY || this.#picture || this.#asides > 0) return;
    if (this.#redraws(stderr) && !this.#passesOn) void this.#showWaiting();
    else if (begins && text !== undefined) this.write(`${sanitizeLine(text)}\n`, stderr);
  }

  async #showWaiting(): Promise<void> {
    // Not loaded for waits that are over by themselves.
    if (!this.#creating && this.#waiting === undefined) return;
    const progress = await this.#line();
    progress.wait(this.#picture || this.#asides > 0 ? undefined : this.#waiting);
  }

  async #line(): Promise<Progress> {
    const redraws = this.#redraws(this.#host.stderr) && !this.#options.quiet && !this.#passesOn;
    this.#creating ??= Progress.create(this.#host, redraws, () => this.#lineOpen).then((progress) => {
      if (this.#passesOn) progress.leave();
      return progress;
    });
    this.#progress = await this.#creating;
    return this.#progress;
  }

  /**
   * @param drawer loads what makes the lines of a frame: safe text, none as wide as the terminal, no more than it has rows.
   * @param pressed told of each key, where the picture is to have them.
   * @returns `undefined` where nothing can be redrawn.
   */
  async live(
    drawer: () => Promise<(size: FrameSize) => readonly string[]>,
    pressed?: (key: Key) => void,
  ): Promise<Picture | undefined> {
    const { stdout } = this.#host;
    if (!this.#redraws(stdout)) return undefined;
    const [{ Live }, { Keyboard }, draw] = await Promise.all([import("./live.ts"), import("./keyboard.ts"), drawer()]);
    const live = new Live(stdout, draw);
    const parts = pressed ? [live, new Keyboard(this.#host, pressed)] : [live];
    const over = this.#hold(parts);
    this.#host.onResize(() => live.refresh(), over.signal);
    this.#live = live;
    live.refresh();
    return {
      refresh: (options) => live.refresh(options),
      aside: (work) => without(parts, work),
      end: () => {
        over.abort();
        for (const part of parts) part.end();
        this.#live = undefined;
      },
    };
  }

  /** Tells `pressed` of each key while `work` goes on, but for those that somebody asks for meanwhile. */
  async keys<T>(pressed: (key: Key) => void, work: () => Promise<T>): Promise<T> {
    const { Keyboard } = await import("./keyboard.ts");
    const keys = new Keyboard(this.#host, pressed);
    const over = this.#hold([keys]);
    try {
      return await work();
    } finally {
      over.abort();
      keys.end();
    }
  }

  /** Has these leave the terminal whenever it is somebody else's, until what is returned is aborted. */
  #hold(parts: readonly (Holder & { end(): void })[]): AbortController {
    const over = new AbortController();
    for (const part of parts) {
      this.#holders.add(part);
      this.#host.onExit(() => part.end(), over.signal);
      this.#host.onSuspend(
        () => part.leave(),
        () => part.back(),
        over.signal,
      );
      over.signal.addEventListener("abort", () => this.#holders.delete(part), { once: true });
    }
    return over;
  }

  /** Lets something else have the terminal for a while. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    return without([...this.#holders], async () => {
      this.#asides += 1;
      try {
        return await (this.#progress ? this.#progress.aside(work) : work());
      } finally {
        this.#asides -= 1;
      }
    });
  }

  /** A terminal that does not know its width says 0. */
  #redraws({ isTTY, columns }: TextSink): boolean {
    return isTTY === true && Boolean(columns) && this.#host.env.TERM !== "dumb" && !this.#options.accessible;
  }
}

/** Has `parts` leave the terminal for as long as `work` takes. */
async function without<T>(parts: readonly Holder[], work: () => Promise<T>): Promise<T> {
  for (const part of parts) part.leave();
  try {
    return await work();
  } finally {
    for (const part of parts) part.back();
  }
}
