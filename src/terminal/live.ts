import type { TextSink } from "./host.ts";

const SHORTEST_FRAME_MS = 100;

/** What a frame is made for: the terminal's size. */
export interface FrameSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * A picture at the bottom of the terminal that replaces itself: one write per frame, only when it is another, at most ten a
 * second. What was above it stays in the scrollback, and so does the last one.
 */
export class Live {
  readonly #sink: TextSink;
  readonly #draw: (size: FrameSize) => Promise<string>;
  readonly #width: (text: string) => number;
  #shown = "";
  #columns = 0;
  #timer: NodeJS.Timeout | undefined;
  #drawing = Promise.resolve();
  #lastFrame = -Infinity;
  #ended = false;

  /** @param draw makes a frame: lines of safe text, none wider than the terminal, fewer than it has rows. */
  private constructor(
    sink: TextSink,
    draw: (size: FrameSize) => Promise<string>,
    stringWidth: (text: string) => number,
  ) {
    this.#sink = sink;
    this.#draw = draw;
    this.#width = stringWidth;
  }

  static async create(sink: TextSink, draw: (size: FrameSize) => Promise<string>): Promise<Live> {
    const { default: stringWidth } = await import("string-width");
    return new Live(sink, draw, stringWidth);
  }

  /** Something may have changed: there will be a frame soon. */
  refresh(): void {
    if (this.#ended) return;
    const wait = Math.max(0, this.#lastFrame + SHORTEST_FRAME_MS - performance.now());
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#drawing = this.#drawing.then(() => this.#frame());
    }, wait);
  }

  /** Lets `write` put whole lines above the picture. */
  around(write: () => void): void {
    if (this.#shown !== "") this.#sink.write(this.#erase());
    this.#shown = "";
    write();
    this.refresh();
  }

  /** Takes the picture away, for good. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#drawing;
    if (this.#shown !== "") this.#sink.write(this.#erase());
    this.#shown = "";
  }

  async #frame(): Promise<void> {
    if (this.#ended) return;
    // A terminal that does not know its size says 0.
    const size = { columns: this.#sink.columns || 80, rows: this.#sink.rows || 24 };
    const next = await this.#draw(size);
    if (this.#ended || (next === this.#shown && size.columns === this.#columns)) return;
    this.#lastFrame = performance.now();
    this.#sink.write(`${this.#shown === "" ? "" : this.#erase()}${next}`);
    this.#shown = next;
    this.#columns = size.columns;
  }

  /** From the picture's end to its beginning, and all below gone. A terminal that became narrower has folded its lines. */
  #erase(): string {
    const columns = this.#sink.columns || 80;
    const folded = (line: string) => Math.max(1, Math.ceil(this.#width(line) / columns));
    const lines = this.#shown.split("\n").reduce((sum, line) => sum + folded(line), 0);
    return `\r${lines > 1 ? `\u001b[${lines - 1}A` : ""}\u001b[J`;
  }
}
