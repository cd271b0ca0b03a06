/** A terminal as far as the tool's own redrawing needs one: what a person would see, frame by frame. */

// oxlint-disable-next-line no-control-regex -- what a terminal obeys
const SEQUENCE = /\u001b\[(\??)([\d;]*)([A-Za-z])/y;

/** Takes what is written to a terminal. A sequence that the tool does not redraw with is an error. */
export class Screen {
  /** What stood on the live picture's own screen at the end of each update. */
  readonly frames: string[][] = [];
  /** What stands on the usual screen, the scrollback too. */
  lines: string[] = [""];
  #picture: string[] | undefined;
  #row = 0;
  #column = 0;
  #before = { row: 0, column: 0 };

  constructor(written: string) {
    for (let at = 0; at < written.length;) at = this.#take(written, at);
  }

  get #now(): string[] {
    return this.#picture ?? this.lines;
  }

  #take(text: string, at: number): number {
    const character = text[at] ?? "";
    if (character === "\u001b") return this.#obey(text, at);
    if (character === "\r") this.#column = 0;
    else if (character === "\n") {
      this.#column = 0;
      this.#row += 1;
      this.#now[this.#row] ??= "";
    } else {
      const line = (this.#now[this.#row] ?? "").padEnd(this.#column);
      this.#now[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
      this.#column += 1;
    }
    return at + 1;
  }

  #obey(text: string, at: number): number {
    SEQUENCE.lastIndex = at;
    const match = SEQUENCE.exec(text);
    if (!match) throw new Error(`no terminal should get ${JSON.stringify(text.slice(at, at + 20))}`);
    const [whole, mark, parameters = "", name] = match;
    const [row = 1, column = 1] = parameters.split(";").map(Number);
    const until = (this.#now[this.#row] ?? "").slice(0, this.#column);
    if (whole === "\u001b[?1049h") {
      this.#before = { row: this.#row, column: this.#column };
      this.#picture = [];
    } else if (whole === "\u001b[?1049l") {
      this.#picture = undefined;
      [this.#row, this.#column] = [this.#before.row, this.#before.column];
    } else if (whole === "\u001b[?2026l") this.frames.push([...this.#now]);
    else if (name === "H" && this.#picture) [this.#row, this.#column] = [row - 1, column - 1];
    else if (name === "K") this.#now[this.#row] = until;
    else if (name === "J" && this.#picture) this.#picture.splice(this.#row, Infinity, ...(until === "" ? [] : [until]));
    else if (name !== "m" && !(mark === "?" && ["25", "2026"].includes(parameters)))
      throw new Error(`the tool does not redraw with ${JSON.stringify(whole)}`);
    return at + whole.length;
  }
}
