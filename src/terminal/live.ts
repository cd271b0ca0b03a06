import type { TextSink } from "./host.ts";
import { widthOf } from "./width.ts";

const SHORTEST_FRAME_MS = 100;
/** Between these, a terminal that knows them shows nothing half done; others ignore them. */
const BEGIN = "\u001b[?2026h";
const END = "\u001b[?2026l";

/** What a frame is made for: the terminal's size. */
interface FrameSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * A picture at the bottom of the terminal that replaces itself: one write per frame, only when it is another, at most ten a
 * second, and only the lines that are. What was above it stays in the scrollback.
 */
export class Live {
  readonly #sink: TextSink;
  readonly #draw: (size: FrameSize) => readonly string[];
  #shown: readonly string[] = [];
  #size: FrameSize = { columns: 0, rows: 0 };
  #timer: NodeJS.Timeout | undefined;
  #lastFrame = -Infinity;
  #ended = false;

  /** @param draw makes a frame: lines of safe text, none as wide as the terminal, fewer than it has rows. */
  constructor(sink: TextSink, draw: (size: FrameSize) => readonly string[]) {
    this.#sink = sink;
    this.#draw = draw;
  }

  /** Something may have changed: there will be a frame soon. */
  refresh(): void {
    if (this.#ended) return;
    const wait = Math.max(0, this.#lastFrame + SHORTEST_FRAME_MS - performance.now());
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#frame();
    }, wait);
  }

  /** Lets `write` put whole lines above the picture. */
  around(write: () => void): void {
    const { length } = this.#shown;
    if (length > 0) this.#sink.write(`${BEGIN}${this.#erase()}`);
    write();
    if (length > 0) this.#sink.write(`${this.#shown.join("\n")}${END}`);
    this.refresh();
  }

  /** Takes the picture away, for good. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#shown.length > 0) this.#sink.write(this.#erase());
    this.#shown = [];
  }

  #frame(): void {
    // A terminal that does not know its size says 0.
    const size = { columns: this.#sink.columns || 80, rows: this.#sink.rows || 24 };
    const next = this.#draw(size);
    const resized = size.columns !== this.#size.columns || size.rows !== this.#size.rows;
    const changes = resized || this.#shown.length === 0 ? `${this.#erase()}${next.join("\n")}` : this.#changes(next);
    this.#shown = next;
    this.#size = size;
    if (changes === "") return;
    this.#lastFrame = performance.now();
    this.#sink.write(`${BEGIN}${changes}${END}`);
  }

  /** From the end of what is shown to the end of `next`, writing the lines that differ. */
  #changes(next: readonly string[]): string {
    const shown = this.#shown;
    const same = (line: string, index: number) => line === shown[index];
    if (next.length === shown.length && next.every(same)) return "";
    const lines = next.map((line, index) => (same(line, index) ? "" : `${line}\u001b[K`));
    // Lines are moved to, not scrolled to, as far as there are any.
    const text = lines.join("\n");
    const rest = next.length < shown.length ? "\u001b[J" : "";
    const last = next.at(-1) ?? "";
    // A last line that stays was not written: the cursor is at its beginning.
    const toEnd = lines.at(-1) === "" && last !== "" ? `\u001b[${widthOf(last)}C` : "";
    return `\r${up(shown.length)}${text}${toEnd}${rest}`;
  }

  /** From the picture's end to its beginning, and all below gone. A terminal that became narrower has folded its lines. */
  #erase(): string {
    if (this.#shown.length === 0) return "";
    const columns = this.#sink.columns || 80;
    const folded = (line: string) => Math.max(1, Math.ceil(widthOf(line) / columns));
    return `\r${up(this.#shown.reduce((sum, line) => sum + folded(line), 0))}\u001b[J`;
  }
}

/** To the first of so many lines, from the last of them. */
function up(lines: number): string {
  return lines > 1 ? `\u001b[${lines - 1}A` : "";
}
