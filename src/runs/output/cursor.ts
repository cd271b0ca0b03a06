/** What the machine puts in front of an output that it has cut to its newest 1,048,576 UTF-16 units. */
export const TRUNCATION_MARKER = "… [output truncated] …\n";

/** So much of what was seen has to be found again for the output to go on there, in UTF-16 units: less may look alike by chance. */
const CERTAIN_LENGTH = 256;
/** How many places are compared one by one before all are gone over at once, which takes longer but always as long. */
const MAX_TRIES = 16;

export interface NewOutput {
  /** What has not been given out before. */
  readonly text: string;
  /**
   * Output between what was given out before and `text` may be missing: the machine had already cut it away. How much, nobody
   * can know: the platform does not say where in the whole output the part that is left begins.
   */
  readonly gap: boolean;
  /** Some of what was given out before is not as the platform has it now; `text` is what follows, as far as that can be told. */
  readonly revised: boolean;
}

const NOTHING: NewOutput = { text: "", gap: false, revised: false };

/**
 * Turns whole outputs, as each poll brings them, into what is new since the last one.
 *
 * Nothing is ever given out twice, and nothing is left out without a `gap`. Where a cut output repeats itself, it cannot be told
 * how often it did between two polls: that is a gap too, but an output which looks exactly as before counts as unchanged. The one
 * loss that goes unnoticed: the machine cuts just where the 256 or more units that were seen last begin once more.
 *
 * Of an output that was not cut, only what is new is looked at, and the 256 units before it. Of a cut one, what is new is
 * searched for the end of what was seen; the rest is compared with what was seen in one piece.
 */
export class OutputCursor {
  #seen = "";
  #cut = false;

  next(output: string): NewOutput {
    const cut = output.startsWith(TRUNCATION_MARKER);
    const text = cut ? withoutHalfCharacter(output.slice(TRUNCATION_MARKER.length)) : output;
    const seen = this.#seen;
    const wasCut = this.#cut;
    // An answer without output, or with less of the same, takes nothing back.
    if (text === "" || (!cut && !wasCut && text.length < seen.length && seen.startsWith(text))) return NOTHING;
    this.#seen = text;
    this.#cut = cut;
    if (seen === "") return { text, gap: cut, revised: false };
    if (!cut) return wasCut ? afterRevision(seen, text) : continued(seen, text);
    if (wasCut && text === seen) return NOTHING;
    const overlap = overlapOf(seen, text);
    const gap = overlap < CERTAIN_LENGTH || borderOf(text, overlap) >= CERTAIN_LENGTH;
    return { text: text.slice(overlap), gap, revised: false };
  }
}

/** What follows `seen` in an output of which nothing was cut away. */
function continued(seen: string, text: string): NewOutput {
  const end = seen.slice(-CERTAIN_LENGTH);
  if (text.startsWith(end, seen.length - end.length))
    return { text: text.slice(seen.length), gap: false, revised: false };
  return afterRevision(seen, text);
}

/** What follows the end of `seen` where it is found, or else all from the first difference on. */
function afterRevision(seen: string, text: string): NewOutput {
  const end = seen.slice(-CERTAIN_LENGTH);
  const at = end.length === CERTAIN_LENGTH ? text.lastIndexOf(end) : -1;
  let from = at + end.length;
  if (at < 0) for (from = 0; from < text.length && text[from] === seen[from];) from += 1;
  return { text: text.slice(from), gap: false, revised: true };
}

/** The length of the longest beginning of `text` that `seen` ends with. */
function overlapOf(seen: string, text: string): number {
  const longest = Math.min(seen.length, text.length);
  if (longest >= CERTAIN_LENGTH) {
    const end = seen.slice(-CERTAIN_LENGTH);
    let at = text.lastIndexOf(end, longest - CERTAIN_LENGTH);
    for (let tries = 0; at >= 0; tries++) {
      if (tries === MAX_TRIES) return overlapAtOnce(seen, text, at + CERTAIN_LENGTH);
      const overlap = at + CERTAIN_LENGTH;
      if (text.slice(0, overlap) === seen.slice(-overlap)) return overlap;
      at = at === 0 ? -1 : text.lastIndexOf(end, at - 1);
    }
  }
  return overlapAtOnce(seen, text, Math.min(longest, CERTAIN_LENGTH - 1));
}

/** As `overlapOf`, of at most `most` units, in a time that grows with `most` alone (Knuth, Morris and Pratt). */
function overlapAtOnce(seen: string, text: string, most: number): number {
  if (most === 0) return 0;
  const borders = bordersOf(text, most);
  let length = 0;
  for (let at = seen.length - most; at < seen.length; at++) {
    const unit = seen.charCodeAt(at);
    while (length > 0 && (length === most || text.charCodeAt(length) !== unit)) length = borders[length - 1] ?? 0;
    if (text.charCodeAt(length) === unit) length += 1;
  }
  return length;
}

/** The length of the longest beginning of `text.slice(0, length)` that it also ends with, if that is of certain length. */
function borderOf(text: string, length: number): number {
  const begin = text.slice(0, CERTAIN_LENGTH);
  const whole = text.slice(0, length);
  let at = whole.indexOf(begin, 1);
  for (let tries = 0; at >= 0; tries++) {
    if (tries === MAX_TRIES) return bordersOf(text, length)[length - 1] ?? 0;
    if (whole.slice(at) === whole.slice(0, length - at)) return length - at;
    at = whole.indexOf(begin, at + 1);
  }
  return 0;
}

/** For each beginning of `text`, up to `length`, the longest shorter beginning that it ends with. */
function bordersOf(text: string, length: number): Int32Array {
  const borders = new Int32Array(length);
  for (let at = 1, border = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    while (border > 0 && text.charCodeAt(border) !== unit) border = borders[border - 1] ?? 0;
    if (text.charCodeAt(border) === unit) border += 1;
    borders[at] = border;
  }
  return borders;
}

/**
 * Cutting may have left the second half of a surrogate pair in front, or what stands for it where only whole characters can be
 * handed on. It is not what was seen there, so nothing can be found again that begins with it.
 */
function withoutHalfCharacter(text: string): string {
  return /^[\udc00-\udfff\ufffd]/.test(text) ? text.slice(1) : text;
}
