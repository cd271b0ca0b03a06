import { endOfColors, MAX_COLORS_LENGTH } from "./sgr.ts";

/**
 * The one function between untrusted text and a terminal.
 *
 * Run output, prompts, names and error messages come from other machines. Only TAB, LF and printable characters pass; colour
 * sequences (SGR) pass where asked for; everything else is shown escaped, not stripped, because stripping can put the parts
 * of a live sequence together.
 */

// Controls (but not TAB and LF), C1, everything that shows as nothing or as empty space and can hide or carry text (soft hyphen,
// zero-width and bidi marks, joiners, fillers, variation selectors, musical and shorthand format characters, tag characters), line
// separators, byte-order mark and lone surrogates.
const UNSAFE =
  // oxlint-disable-next-line no-control-regex, no-misleading-character-class -- finding such characters is what this expression is for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|\ud82f[\udca0-\udca3]|\ud834[\udd73-\udd7a]|[\udb40-\udb43][\udc00-\udfff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The beginning of a sequence that the next piece of text could complete to a colour sequence. */
const SGR_START = /\u001b(?:\[[0-9;:]{0,48})?$/; // oxlint-disable-line no-control-regex -- as above

/** A picture: a variation selector behind one says only whether it is drawn in colours. */
const PICTURE = /\p{Extended_Pictographic}$/u;

export interface SanitizeOptions {
  /** What becomes of colour sequences. Default: they are shown escaped like every other control sequence. */
  colors?: "keep" | "drop" | "show";
  /** What stands in front of the text, as far as it was known before. */
  before?: string;
}

/** Units are taken so many at a time, and each becomes eight at most: `\\u{202e}`. */
const PART = 16_384;
const scratch = new Uint16Array(PART * 8 + 64);
const scratchBytes = Buffer.from(scratch.buffer);

/**
 * `text` with everything that could drive a terminal made visible. Carriage returns before a line feed are dropped.
 *
 * Unit by unit into a buffer: a call for each match, as `replace` makes it, takes half a second for a megabyte of escapes.
 */
export function sanitize(text: string, { colors = "show", before = "" }: SanitizeOptions = {}): string {
  if (text.search(UNSAFE) < 0) return text;
  // Strings come in several forms inside, and reading any of them unit by unit is slow.
  const units = new Uint16Array(text.length);
  Buffer.from(units.buffer).write(text, "utf16le");
  const unitAt = (index: number) => units[index] ?? 0;
  let safe = "";
  let to = 0;
  let at = 0;
  while (at < text.length) {
    const code = unitAt(at);
    let next = at + 1;
    if (isPlain(code)) scratch[to++] = code;
    else if (code === 0x1b) {
      const end = colors === "show" || unitAt(next) !== 0x5b ? -1 : endOfColors(text, at);
      if (end < 0) to = show(code, to);
      else {
        next = end;
        if (colors === "keep") for (let copied = at; copied < end; copied++) scratch[to++] = unitAt(copied);
      }
    } else if (code === 0x0d) {
      if (unitAt(next) !== 0x0a) to = show(code, to);
    } else if (code >= 0xd800 && code <= 0xdbff && isLowSurrogate(unitAt(next))) {
      const low = unitAt(next++);
      // Tag characters and the like: invisible, and yet text.
      if (isUnsafePair(code, low)) to = show(text.codePointAt(at) ?? 0, to);
      else {
        scratch[to++] = code;
        scratch[to++] = low;
      }
    } else if (isPresentation(code) && PICTURE.test(at > 1 ? text.slice(at - 2, at) : before + text.slice(0, at))) {
      scratch[to++] = code;
    } else if (isUnsafe(code)) to = show(code, to);
    else scratch[to++] = code;
    at = next;
    if (to < PART * 8 - 64 && at < text.length) continue;
    safe += scratchBytes.toString("utf16le", 0, to * 2);
    to = 0;
  }
  return safe;
}

/**
 * `text` without its colours. Not safe: what stood around one may now be another sequence, which is for {@link sanitize} to
 * show.
 */
export function withoutColors(text: string): string {
  let plain = "";
  let from = 0;
  for (let at = text.indexOf("\u001b["); at >= 0; at = text.indexOf("\u001b[", at)) {
    const end = endOfColors(text, at);
    if (end >= 0) {
      plain += text.slice(from, at);
      from = end;
    }
    at = Math.max(end, at + 2);
  }
  return plain + text.slice(from);
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

/** Whether a text has nothing in it that could drive a terminal, or hide there. */
export function isSafe(text: string): boolean {
  return text.search(UNSAFE) < 0;
}

/** YAML whose unsafe characters are all in texts with double quotes, with these escaped: the same YAML, safe to look at. */
export function sanitizeYaml(yaml: string): string {
  return yaml.replace(UNSAFE, (match) =>
    Array.from(match, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
    }).join(""),
  );
}

/** Like `sanitize`, for text that must stay on one line: a table cell, a title. */
export function sanitizeLine(text: string): string {
  return sanitize(text).replaceAll("\n", " ").replaceAll("\t", " ");
}

/** Sanitizes text that comes in pieces: a sequence, a character or a line ending may be split between two of them. */
export class SanitizingStream {
  #held = "";
  /** The end of what was not held back. */
  #before = "";
  readonly #options: SanitizeOptions;

  constructor(options: SanitizeOptions = {}) {
    this.#options = options;
  }

  /** The part of the text so far that is certain, sanitized. */
  push(text: string): string {
    const all = this.#held === "" ? text : this.#held + text;
    const held = heldBack(all);
    this.#held = held === 0 ? "" : all.slice(-held);
    return this.#sanitized(held === 0 ? all : all.slice(0, -held));
  }

  /** What was still held back when the text ended. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return this.#sanitized(rest);
  }

  #sanitized(text: string): string {
    const safe = sanitize(text, { ...this.#options, before: this.#before });
    this.#before = (this.#before + text.slice(-2)).slice(-2);
    return safe;
  }
}

function heldBack(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  if (last === 0x0d || (last >= 0xd800 && last <= 0xdbff)) return 1;
  const partial = SGR_START.exec(text.slice(-MAX_COLORS_LENGTH));
  return partial ? partial[0].length : 0;
}

/** Printable ASCII, TAB and LF. */
function isPlain(code: number): boolean {
  return (code >= 0x20 && code <= 0x7e) || code === 0x0a || code === 0x09;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** As `UNSAFE` has it, for a unit that stands alone. */
function isUnsafe(code: number): boolean {
  if (code < 0x300) return code <= 0x9f || code === 0xad;
  if (code < 0x2000) {
    const filler = code === 0x34f || code === 0x115f || code === 0x1160 || code === 0x17b4 || code === 0x17b5;
    return filler || code === 0x61c || (code >= 0x180b && code <= 0x180f);
  }
  if (code <= 0x206f) return code >= 0x2060 || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e);
  if (code < 0xd800) return code === 0x2800 || code === 0x3164;
  if (code <= 0xdfff || isVariationSelector(code)) return true;
  return code === 0xfeff || code === 0xffa0 || (code >= 0xfff0 && code <= 0xfffb);
}

function isVariationSelector(code: number): boolean {
  return code >= 0xfe00 && code <= 0xfe0f;
}

/** As a text or as a picture in colours. */
function isPresentation(code: number): boolean {
  return code === 0xfe0e || code === 0xfe0f;
}

/** As `UNSAFE` has it, for a surrogate pair. */
function isUnsafePair(high: number, low: number): boolean {
  if (high === 0xd82f) return low >= 0xdca0 && low <= 0xdca3;
  if (high === 0xd834) return low >= 0xdd73 && low <= 0xdd7a;
  return high >= 0xdb40 && high <= 0xdb43;
}

const HEX = Uint16Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));

/** Writes `\\x1b` or `\\u{202e}` for a character, at this index. @returns the index behind it. */
function show(code: number, index: number): number {
  let to = index;
  scratch[to++] = 0x5c;
  if (code <= 0xff) {
    scratch[to++] = 0x78;
    scratch[to++] = HEX[code >> 4] ?? 0;
    scratch[to++] = HEX[code & 0xf] ?? 0;
    return to;
  }
  scratch[to++] = 0x75;
  scratch[to++] = 0x7b;
  for (let shift = code > 0xffff ? 16 : code > 0xfff ? 12 : 8; shift >= 0; shift -= 4) {
    scratch[to++] = HEX[(code >> shift) & 0xf] ?? 0;
  }
  scratch[to++] = 0x7d;
  return to;
}
