/**
 * The one function between untrusted text and a terminal.
 *
 * Run output, prompts, names and error messages come from other machines. Only TAB, LF and printable characters pass; colour
 * sequences (SGR) pass where asked for; everything else is shown escaped, not stripped, because stripping can put the parts
 * of a live sequence together.
 */

// Controls (but not TAB and LF), C1, soft hyphen, zero-width and bidi marks, line separators, byte-order mark, tag characters
// and lone surrogates.
const UNSAFE =
  // oxlint-disable-next-line no-control-regex -- finding control characters is what this expression is for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A colour sequence, bounded: real ones have a handful of parameters, and an endless one must not cost more than its length. */
const SGR = /^\u001b\[([0-9;:]{0,48})m/; // oxlint-disable-line no-control-regex -- as above
/** Every colour sequence. */
const EVERY_SGR = /\u001b\[([0-9;:]{0,48})m/g; // oxlint-disable-line no-control-regex -- as above
/** The beginning of a sequence that the next piece of text could complete to a colour sequence. */
const SGR_START = /\u001b(?:\[[0-9;:]{0,48})?$/; // oxlint-disable-line no-control-regex -- as above
const LONGEST_SGR = 52;

export interface SanitizeOptions {
  /** What becomes of colour sequences. Default: they are shown escaped like every other control sequence. */
  colors?: "keep" | "drop" | "show";
}

/** `text` with everything that could drive a terminal made visible. Carriage returns before a line feed are dropped. */
export function sanitize(text: string, { colors = "show" }: SanitizeOptions = {}): string {
  const unixLines = text.includes("\r\n") ? text.replaceAll("\r\n", "\n") : text;
  const plain = colors === "drop" ? withoutColors(unixLines) : unixLines;
  return plain.replace(UNSAFE, (match, at: number) => {
    if (colors === "keep" && match === "\u001b") {
      const [, parameters] = SGR.exec(plain.slice(at, at + LONGEST_SGR)) ?? [];
      if (parameters !== undefined && isHarmless(parameters)) return match;
    }
    return visible(match);
  });
}

/**
 * `text` without its colours. Not safe: what stood around one may now be another sequence, which is for {@link sanitize} to
 * show.
 */
export function withoutColors(text: string): string {
  if (!text.includes("\u001b[")) return text;
  return text.replace(EVERY_SGR, (sequence, parameters: string) => (isHarmless(parameters) ? "" : sequence));
}

/** JSON with everything that could drive a terminal escaped: the same JSON, safe to look at. */
export function sanitizeJson(json: string): string {
  return json.replace(UNSAFE, (match) =>
    Array.from(
      { length: match.length },
      (_, index) => `\\u${match.charCodeAt(index).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}

/** Like `sanitize`, for text that must stay on one line: a table cell, a title. */
export function sanitizeLine(text: string): string {
  return sanitize(text).replaceAll("\n", " ").replaceAll("\t", " ");
}

/** Sanitizes text that comes in pieces: a sequence, a character or a line ending may be split between two of them. */
export class SanitizingStream {
  #held = "";
  readonly #options: SanitizeOptions;

  constructor(options: SanitizeOptions = {}) {
    this.#options = options;
  }

  /** The part of the text so far that is certain, sanitized. */
  push(text: string): string {
    const all = this.#held + text;
    const cut = all.length - heldBack(all);
    this.#held = all.slice(cut);
    return sanitize(all.slice(0, cut), this.#options);
  }

  /** What was still held back when the text ended. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return sanitize(rest, this.#options);
  }
}

/** Colours, bold, faint, italic, underline and what ends them; not blinking, inverse, concealed or other fonts. */
function isHarmless(parameters: string): boolean {
  const codes = parameters.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    // 38 and 48 choose a colour by index (5;n) or by its parts (2;r;g;b).
    if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4;
    else if (!(code <= 4 || (code >= 21 && code <= 49 && code !== 26) || (code >= 90 && code <= 107))) return false;
  }
  return true;
}

function heldBack(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  if (last === 0x0d || (last >= 0xd800 && last <= 0xdbff)) return 1;
  const partial = SGR_START.exec(text.slice(-LONGEST_SGR));
  return partial ? partial[0].length : 0;
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `\\u{${code.toString(16)}}`;
}
