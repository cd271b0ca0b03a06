export interface LastLines {
  readonly text: string;
  /** How many lines before `text` were left out. */
  readonly leftOut: number;
}

/** The last `count` lines of a text. The text's last line counts as one whether or not it is complete. */
export function lastLines(text: string, count: number): LastLines {
  let from = text.length;
  if (count > 0) {
    if (text.endsWith("\n")) from -= 1;
    for (let lines = 0; lines < count && from > 0; lines++) from = text.lastIndexOf("\n", from - 1);
    // At 0, `lastIndexOf` has found a first line that is empty.
    from = from < 0 || (from === 0 && text[0] !== "\n") ? 0 : from + 1;
  }
  return { text: text.slice(from), leftOut: countLines(text.slice(0, from)) };
}

/** A text from its line `first` on; the first is 1. */
export function linesFrom(text: string, first: number): string {
  let from = 0;
  for (let line = 1; line < first; line++) {
    from = text.indexOf("\n", from) + 1;
    if (from === 0) return "";
  }
  return text.slice(from);
}

function countLines(text: string): number {
  let lines = text === "" || text.endsWith("\n") ? 0 : 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}
