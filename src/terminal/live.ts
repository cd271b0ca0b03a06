import { callAfter, type Timer } from "../async/wait.ts";
import type { TextSink } from "./host.ts";
import { withoutColors } from "./sanitize.ts";
import { cutTo } from "./width.ts";

const MIN_FRAME_MS = 100;
/** For what a person has just asked for. */
const MIN_ANSWER_MS = 15;
/** Between these, a terminal that knows them shows nothing half done; others ignore them. */
const BEGIN = "\u001b[?2026h";
const END = "\u001b[?2026l";
/** A screen of its own, without a cursor, and back to the one before with all that was on it. */
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
/** Of what was said meanwhile, so many lines are shown. */
const SAID_LINES = 3;

/** What a frame is made for: the terminal's size, or what there is of it. */
export interface FrameSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * A picture that has the terminal to itself and replaces itself: one write per frame, only when it is another, at most ten a
 * second, and only the lines that are. What is said meanwhile stands below it, and is written for good when it is over.
 *
 * A screen of its own, because what scrolls out of the usual one when the terminal becomes smaller cannot be taken back.
 */
export class Live {
  readonly #sink: TextSink;
  readonly #draw: (size: FrameSize) => readonly string[];
  readonly #said: { readonly text: string; readonly write: () => void }[] = [];
  #shown: readonly string[] | undefined;
  #size: FrameSize = { columns: 0, rows: 0 };
  #timer: Timer | undefined;
  #soon = false;
  #lastFrame = -Infinity;
  #asides = 0;
  #ended = false;

  /** @param draw makes a frame: lines of safe text, none as wide as the terminal, no more than it has rows. */
  constructor(sink: TextSink, draw: (size: FrameSize) => readonly string[]) {
    this.#sink = sink;
    this.#draw = draw;
  }

  /** Whether something else has the terminal. */
  get away(): boolean {
    return this.#asides > 0;
  }

  /** Something may have changed: there will be a frame soon, and at once where it `answers` a key. */
  refresh({ answers = false } = {}): void {
    if (this.#ended || (this.#timer && (this.#soon || !answers))) return;
    this.#timer?.cancel();
    this.#soon = answers;
    const waitMs = Math.max(0, this.#lastFrame + (answers ? MIN_ANSWER_MS : MIN_FRAME_MS) - performance.now());
    this.#timer = callAfter(waitMs, () => {
      this.#timer = undefined;
      this.#soon = false;
      this.#frame();
    });
  }

  /** Shows a text below the picture, which is there; `write` has it written once the picture is gone. */
  say(text: string, write: () => void): void {
    this.#said.push({ text, write });
    this.refresh();
  }

  /** Gives the terminal back as it was, with what was said so far, until `back` is called as often as this. */
  leave(): void {
    this.#leave();
    this.#asides += 1;
  }

  back(): void {
    this.#asides -= 1;
    this.refresh();
  }

  /** Gives the terminal back as it was, with what was said meanwhile. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#leave();
  }

  #leave(): void {
    if (this.#shown) this.#sink.write(LEAVE);
    this.#shown = undefined;
    for (const { write } of this.#said.splice(0)) write();
  }

  #frame(): void {
    if (this.#asides > 0) return;
    // A terminal that does not know its size says 0.
    const size = { columns: this.#sink.columns || 80, rows: this.#sink.rows || 24 };
    const said = this.#said.slice(-SAID_LINES).flatMap(({ text }) => withoutColors(text).trimEnd().split("\n"));
    const below = said.slice(-Math.min(SAID_LINES, size.rows - 2)).map((line) => cutTo(line, size.columns - 1));
    const next = [...this.#draw({ ...size, rows: size.rows - below.length }), ...below].slice(0, size.rows);
    const resized = size.columns !== this.#size.columns || size.rows !== this.#size.rows;
    const shown = resized ? undefined : this.#shown;
    const changed = next.flatMap((line, index) => (line === shown?.[index] ? [] : `${lineAt(index)}${line}\u001b[K`));
    const rest = shown && shown.length <= next.length ? "" : `${lineAt(next.length)}\u001b[J`;
    const enter = this.#shown ? "" : ENTER;
    this.#shown = next;
    this.#size = size;
    if (changed.length === 0 && rest === "") return;
    this.#lastFrame = performance.now();
    this.#sink.write(`${enter}${BEGIN}${changed.join("")}${next.length < size.rows ? rest : ""}${END}`);
  }
}

/** To the beginning of a line of the screen; the first is 0. */
function lineAt(index: number): string {
  return `\u001b[${index + 1};1H`;
}
