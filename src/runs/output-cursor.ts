/** What the machine puts in front of an output that it has cut to its newest 1,048,576 UTF-16 units. */
export const TRUNCATION_MARKER = "… [output truncated] …\n";

/** How much of the end of what was seen is looked for in the next output. */
const ANCHOR_LENGTH = 256;

export interface NewOutput {
  /** What has not been given out before. */
  readonly text: string;
  /** Output between what was given out before and `text` is missing: the machine had already cut it away. */
  readonly gap: boolean;
}

/**
 * Turns whole outputs, as each poll brings them, into what is new since the last one. The cost grows with what is new: the
 * search for the end of what was seen begins at the end of the new output.
 */
export class OutputCursor {
  #seen = "";

  next(output: string): NewOutput {
    const cut = output.startsWith(TRUNCATION_MARKER);
    const text = cut ? output.slice(TRUNCATION_MARKER.length) : output;
    const before = this.#seen;
    this.#seen = text;
    if (before === "" || text === "") return { text, gap: cut };
    const from = endOfSeen(before, text, cut);
    return from === undefined
      ? { text: withoutHalfCharacter(text), gap: true }
      : { text: text.slice(from), gap: false };
  }
}

/** Where in `text` that what was seen ends: the last place at which all before it is the end of what was seen. */
function endOfSeen(seen: string, text: string, cut: boolean): number | undefined {
  const anchor = seen.slice(-ANCHOR_LENGTH);
  if (!cut && text.startsWith(anchor, seen.length - anchor.length)) return seen.length;
  for (let at = text.lastIndexOf(anchor); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(anchor, at - 1)) {
    const end = at + anchor.length;
    if (seen.endsWith(text.slice(0, end))) return end;
  }
  return undefined;
}

/** Cutting may have left the second half of a surrogate pair in front. */
function withoutHalfCharacter(text: string): string {
  return /^[\udc00-\udfff]/.test(text) ? text.slice(1) : text;
}
