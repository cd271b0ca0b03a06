/** How much room a text takes on a terminal. Loaded only where something is laid out. */
import stringWidth from "string-width";

/** A column for each character: most of what is measured is nothing else, and finding out about the rest takes long. */
const PLAIN = /^[\u0020-\u007e…]*$/;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The columns that a safe text takes, colours aside. */
export function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
}

/** A safe text without colours, in at most so many columns: what is cut ends with `…`. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (PLAIN.test(text)) return `${text.slice(0, width - 1)}…`;
  let cut = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += widthOf(segment);
    if (used > width - 1) break;
    cut += segment;
  }
  return `${cut}…`;
}
