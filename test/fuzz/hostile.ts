/** Text as an attacker would write it, and what of it may never reach a terminal. */

/* oxlint-disable no-control-regex -- control characters are the subject */

/** Nothing of this may reach a terminal: controls but TAB and LF, C1, what is invisible or blank (but how a picture is to be drawn), lone surrogates. */
const LIVE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u2800\ufff9-\ufffb]|(?![\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}|(?<!\p{Extended_Pictographic})[\ufe0e\ufe0f]|\p{Surrogate}/u;
const SGR = /\u001b\[([\d;:]{0,48})m/g;
const CODE = "0*(?:[0-4]|2[1-57-9]|3[0-79]|4[0-79]|9[0-7]|10[0-7])?";
const CHOICE = "0*[34]8(?:;0*5(?:;\\d*)?|;0*2(?:;\\d*){0,3}|:5:\\d+|:2:(?:\\d*:)?\\d+:\\d+:\\d+)|4:[0-5]";
/** The colours, and what ends them, that may be handed on. */
const ALLOWED = new RegExp(`^(?:${CHOICE}|${CODE})(?:;(?:${CHOICE}|${CODE}))*$`);

/** What in a text that was meant for a terminal could drive it, colours of the list aside. */
export function liveIn(written: string, { colors }: { colors: boolean }): string | undefined {
  return LIVE.exec(colors ? withoutAllowed(written) : written)?.[0];
}

function withoutAllowed(written: string): string {
  return written.replaceAll(SGR, (sequence, parameters: string) => (ALLOWED.test(parameters) ? "" : sequence));
}

/** Each kind of what terminals obey, and what deceives whoever looks at them. */
export const CORPUS: Readonly<Record<string, string>> = {
  "CSI: clear, move, alternate screen": "\u001b[2J\u001b[H\u001b[3A\u001b[?1049h\u001b[?25l\u001b[1;1H",
  "CSI: query, insert, window": "\u001b[6n\u001b[c\u001b[@\u001b[8;1;1t\u001b[21t",
  "CSI: endless": `\u001b[${";".repeat(2_000)}`,
  "CSI: endless, ended": `\u001b[${"1;".repeat(2_000)}m`,
  "SGR: allowed":
    "\u001b[1;32mgreen\u001b[0m \u001b[38;5;200mpink\u001b[39m \u001b[38;2;1;2;3mrgb\u001b[m \u001b[38:2::9:8:5mparts",
  "SGR: blinking, concealed, font":
    "\u001b[5mblink\u001b[8mhidden\u001b[10m\u001b[26m\u001b[50m\u001b[6;32m\u001b[38;9;8m",
  "SGR: private, intermediate": "\u001b[?31m\u001b[>4;1m\u001b[31 m\u001b[31\u0018m",
  "OSC 0: title": "\u001b]0;owned\u0007\u001b]2;owned\u001b\\",
  "OSC 8: link": "\u001b]8;;https://evil.example/\u001b\\link\u001b]8;;\u001b\\",
  "OSC 52: clipboard": "\u001b]52;c;b3duZWQ=\u0007",
  "OSC 777, 9: notification": "\u001b]777;notify;a;b\u0007\u001b]9;hello\u0007",
  "OSC 1337: file": "\u001b]1337;File=name=eA==;inline=1:eA==\u0007",
  "DCS, SOS, PM, APC": "\u001bP+q544e\u001b\\\u001bXsos\u001b\\\u001b^pm\u001b\\\u001b_apc\u001b\\",
  "C1 controls": Array.from({ length: 32 }, (_, index) => String.fromCharCode(0x80 + index)).join("x"),
  "C1: CSI, OSC": "\u009b31m\u009b2J\u009d0;owned\u009c\u0090+q\u009c",
  "C0 controls": Array.from({ length: 32 }, (_, index) => String.fromCharCode(index)).join("x"),
  "ESC alone, doubled, at the end": "\u001b \u001b\u001b[\u001b\u001b[31m\u001bc\u001b",
  "put together by leaving out": "\u001b\u001b[0m[2J\u001b\u0000[2J\u001b[3\u001b[0m1m\u001b\u200b[2J",
  "BEL, BS, VT, FF, DEL, NUL": "a\u0007b\bc\u000bd\fe\u007ff\0g",
  "lone CR": "all is well\rFAILED     \r\r\n\r",
  CRLF: "one\r\ntwo\r\n",
  bidi: "\u202ecod.exe\u202c\u202a\u202b\u202d\u2066a\u2067b\u2068c\u2069\u200e\u200f\u061c",
  "zero width, tags, BOM": "a\u200bb\u200c\u200d\u2060\ufeff\u{e0001}\u{e0041}\u{e007f}\u00ad",
  "fillers, variation selectors":
    "a\u3164b\u115f\u1160\uffa0\u2800\u034fc\ufe0f\ufe00d\u{e0100}\u{e01ef}\u{1d173}\u{1bca0}\u206a\u180bx",
  "pictures with and without": "❤\ufe0f \u{1f600}\ufe0e\ufe0f\ufe0f 1\ufe0f\u20e3 \u{1f468}\u200d\u{1f4bb}",
  separators: "a\u2028b\u2029c\u0085d",
  "lone surrogates": "\ud83d x \udd25 \ud83d\ud83d\udd25 \udd25\ud83d",
  "whole characters": "🦀 日本語 é e\u0301 \u{1f468}\u{1f469} — “quoted”",
  "half a character": "\ufffd\ud800",
  "the tool's own marks": "\u001b[?2026h\u001b[?2026l\u001b[K\u001b[J … [output truncated] …\n",
};

/** Parts of them, and of other things. */
const PARTS =
  "\u001b|\u001b[|\u001b]0;|\u001bP|\u009b|\u0007|\b|\r|\n|\t|\0|\u202e|\ud83d|\udd25|[2J|[31m|31;1m|38;5;|48:2:|m|;|:|0|5|text| |e\u0301|\u{e0041}|\u{1f600}|\ufe0f|\u3164|\u{e0101}|?25h";
const PIECES = [...Object.values(CORPUS).filter((text) => text.length < 200), ...PARTS.split("|")];

/** A generator of hostile texts: the same seed, the same texts (mulberry32). */
export function hostileTexts(seed: number): () => string {
  let state = seed >>> 0;
  const below = (limit: number) => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
  const piece = () => {
    const kind = below(10);
    if (kind < 6) return PIECES[below(PIECES.length)] ?? "";
    // Any unit at all, of the first 256 more often.
    return String.fromCharCode(kind < 9 ? below(256) : below(0x1_00_00));
  };
  return () => Array.from({ length: 1 + below(24) }, piece).join("");
}

/** A text in pieces, cut at these places, each taken within it. */
export function inPieces(text: string, at: readonly number[]): string[] {
  const cuts = [0, ...at.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length];
  return cuts.slice(1).map((to, index) => text.slice(cuts[index], to));
}
