/** How much room a text takes on a terminal. Loaded only where something is laid out. */
import stringWidth from "string-width";
import { lazily } from "../contract/lazily.ts";

/** A column for each character: most of what is measured is nothing else, and finding out about the rest takes long. */
const PLAIN = /^[\u0020-\u007e…]*$/;
/** As those, and characters of East Asia that stand alone and take two columns. */
const PLAIN_OR_WIDE =
  /^[\u0020-\u007e…\u3001-\u3020\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]*$/;
const NARROW = /[\u0020-\u007e…]+/g;
/** Node takes 25 ms to make it: for those texts only that are not plain. */
const graphemes = lazily(() => new Intl.Segmenter(undefined, { granularity: "grapheme" }));

/** The columns that a safe text takes, colours aside. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  if (PLAIN_OR_WIDE.test(text)) return text.length + text.replaceAll(NARROW, "").length;
  return stringWidth(text);
}

/**
 * A safe text without colours, in at most so many columns: what is cut ends with `…`. Takes as long as what is left is wide, however
 * long the text is.
 */
export function cutTo(text: string, width: number): string {
  if (width === Infinity) return text;
  if (PLAIN.test(text)) return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
  let used = 0;
  let fitting = 0;
  for (const { segment, index } of graphemes().segment(text)) {
    used += widthOf(segment);
    if (used > width) return `${text.slice(0, fitting)}…`;
    if (used < width) fitting = index + segment.length;
  }
  return text;
}
