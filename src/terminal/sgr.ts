/** How long a sequence may be: real ones have a handful of parameters, and an endless one must not cost more than its length. */
export const MAX_COLORS_LENGTH = 52;

/** A kind of underlining, or a colour, whose parts are written with colons (ITU T.416). */
const WITH_PARTS = /^(?:4:[0-5]|[34]8:(?:5:\d+|2:(?:\d*:)?\d+:\d+:\d+))$/;

/**
 * Where the colour sequence (SGR) that begins at `at` ends, or -1 where none begins that may be handed on: colours, bold, faint,
 * italic, underline and what ends them; not blinking, inverse, concealed or other fonts.
 */
export function endOfColors(text: string, at: number): number {
  if (text.charCodeAt(at) !== 0x1b || text.charCodeAt(at + 1) !== 0x5b) return -1;
  const last = Math.min(text.length, at + MAX_COLORS_LENGTH);
  let code = 0;
  let from = at + 2;
  let parts = false;
  /** 38 and 48 choose a colour by its index (5;n) or by its parts (2;r;g;b): so many parameters are theirs, `KIND` comes next. */
  let theirs = 0;
  for (let next = from; next < last; next++) {
    const unit = text.charCodeAt(next);
    if (unit >= 0x30 && unit <= 0x39) {
      code = code * 10 + unit - 0x30;
      continue;
    }
    if (unit === 0x3a) {
      parts = true;
      continue;
    }
    if (unit !== 0x3b && unit !== 0x6d) return -1;
    if (parts) {
      if (theirs !== 0 || !WITH_PARTS.test(text.slice(from, next))) return -1;
    } else if (theirs === KIND) {
      // After anything else, terminals disagree about what comes next.
      if (code !== 5 && code !== 2) return -1;
      theirs = code === 5 ? 1 : 3;
    } else if (theirs > 0) theirs -= 1;
    else if (code === 38 || code === 48) theirs = KIND;
    else if (!isHarmless(code)) return -1;
    if (unit === 0x6d) return theirs === KIND ? -1 : next + 1;
    code = 0;
    parts = false;
    from = next + 1;
  }
  return -1;
}

const KIND = -1;

function isHarmless(code: number): boolean {
  return code <= 4 || (code >= 21 && code <= 49 && code !== 26) || (code >= 90 && code <= 107);
}
