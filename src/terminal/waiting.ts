import { callAfter, type Timer } from "../async/wait.ts";

export interface WaitingOptions {
  /** Who is waited for, as a person knows them. */
  readonly host: string;
  /** For which a wait is not worth a word; then it is counted in such steps. */
  readonly stepMs: number;
  /** Shows a text in place of the last one; `undefined`: nothing is waited for that is worth a word. */
  readonly show: (text: string | undefined) => void;
}

/** Says what the tool waits for: an answer that takes its time, or the next try. */
export class Waiting {
  readonly #options: WaitingOptions;
  /** When each request under way was sent, oldest first. */
  readonly #asked = new Set<{ readonly sinceMs: number }>();
  readonly #pauses = new Set<{ readonly why: string; readonly untilMs: number }>();
  #timer: Timer | undefined;
  #shown: string | undefined;

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  /** A request is under way, until what this returns is called. */
  answer(): () => void {
    return this.#added(this.#asked, { sinceMs: performance.now() });
  }

  /** The next try comes after so many milliseconds, or when what this returns is called. */
  pause(why: string, ms: number): () => void {
    return this.#added(this.#pauses, { why, untilMs: performance.now() + ms });
  }

  #added<T>(set: Set<T>, entry: T): () => void {
    set.add(entry);
    this.#update();
    return () => {
      set.delete(entry);
      this.#update();
    };
  }

  #update(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = performance.now();
    const text = this.#text(now);
    if (text !== this.#shown) this.#options.show(text);
    this.#shown = text;
    const [oldest] = this.#asked;
    if (!oldest && this.#pauses.size === 0) return;
    const { stepMs } = this.#options;
    // Counted from the oldest request: its seconds are whole when they are shown.
    const waitMs = stepMs - ((now - (oldest?.sinceMs ?? now)) % stepMs);
    this.#timer = callAfter(Math.max(1, waitMs), () => this.#update(), { ref: false });
  }

  #text(now: number): string | undefined {
    const { host, stepMs } = this.#options;
    const pause = [...this.#pauses].at(-1);
    const leftMs = pause ? pause.untilMs - now : 0;
    if (pause && leftMs >= stepMs / 2) return `${pause.why}, trying again in ${Math.ceil(leftMs / 1_000)} s`;
    const [oldest] = this.#asked;
    // A timer may come a little early.
    const sinceMs = oldest ? now - oldest.sinceMs + 1 : 0;
    return sinceMs < stepMs ? undefined : `waiting for ${host} … ${Math.floor(sinceMs / 1_000)} s`;
  }
}
