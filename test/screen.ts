/** A terminal as far as the tool's own redrawing needs one: what a person would see, frame by frame. */

// oxlint-disable-next-line no-control-regex -- what a terminal obeys
const SEQUENCE = /\u001b\[(\??)([\d;]*)([A-Za-z])/y;

/** Takes what is written to a terminal that is wide enough for every line, and high enough for every frame. */
export class Screen {
  /** What stood on the screen at the end of each synchronized update: its lines, the scrollback too. */
  readonly frames: string[][] = [];
  #lines: string[] = [""];
  #row = 0;
  #column = 0;

  constructor(written: string) {
    for (let at = 0; at < written.length;) at = this.#take(written, at);
  }

  /** What stands there in the end. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  #take(text: string, at: number): number {
    const character = text[at] ?? "";
    if (character === "\u001b") return this.#obey(text, at);
    if (character === "\r") this.#column = 0;
    else if (character === "\n") {
      this.#column = 0;
      this.#row += 1;
      this.#lines[this.#row] ??= "";
    } else {
      const line = (this.#lines[this.#row] ?? "").padEnd(this.#column);
      this.#lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
      this.#column += 1;
    }
    return at + 1;
  }

  #obey(text: string, at: number): number {
    SEQUENCE.lastIndex = at;
    const match = SEQUENCE.exec(text);
    if (!match) throw new Error(`no terminal should get ${JSON.stringify(text.slice(at, at + 20))}`);
    const [whole, mark, parameters, name] = match;
    const line = (this.#lines[this.#row] ?? "").slice(0, this.#column);
    if (mark === "?" && parameters === "2026") {
      if (name === "l") this.frames.push(this.#lines.slice());
    } else if (name === "A") this.#row = Math.max(0, this.#row - Number(parameters));
    else if (name === "C") this.#column += Number(parameters);
    else if (name === "K") this.#lines[this.#row] = line;
    else if (name === "J") this.#lines = [...this.#lines.slice(0, this.#row), line];
    else if (name !== "m") throw new Error(`the tool does not redraw with ${JSON.stringify(whole)}`);
    return at + whole.length;
  }
}
