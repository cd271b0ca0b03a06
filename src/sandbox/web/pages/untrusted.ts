/** Text that comes from machines and customers, as HTML: everything shows, nothing acts, and of its sequences only colours count. */
import { html } from "hono/html";
import type { Html } from "./page.ts";

/**
 * Controls (but not TAB and LF), and what shows as nothing and can hide or reorder text. What only says how the picture before it
 * is drawn may stay.
 */
const UNSAFE =
  /(?!(?<=\p{Extended_Pictographic}\ufe0f?)[\ufe0f\u200d])(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** The text with everything that could hide in it shown escaped. `html` escapes the rest. */
export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(UNSAFE, escaped);
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** The visible text on one line, cut. */
export function oneLine(text: string, length = 100): string {
  const line = visible(text.slice(0, length * 4))
    .replaceAll(/\s+/g, " ")
    .trim();
  const characters = [...line];
  return characters.length > length || text.length > length * 4 ? `${characters.slice(0, length).join("")}…` : line;
}

const ESCAPE = "\u001b";
/** A colour sequence, of a length that real ones have. */
const COLORS = new RegExp(`${ESCAPE}\\[([0-9;]{0,48})m`, "g");
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;

/** Output with its colours as classes: foreground, bold, faint, italic, underlined. Everything else is shown escaped. */
export function colored(output: string): Html[] {
  const parts: Html[] = [];
  let style: readonly string[] = [];
  let from = 0;
  const add = (to: number) => {
    if (to === from) return;
    const text = visible(output.slice(from, to));
    parts.push(style.length === 0 ? html`${text}` : html`<span class="${style.join(" ")}">${text}</span>`);
  };
  for (const match of output.matchAll(COLORS)) {
    const next = restyled(style, (match[1] ?? "").split(";").map(Number));
    if (!next) continue;
    add(match.index);
    from = match.index + match[0].length;
    style = next;
  }
  add(output.length);
  return parts;
}

const STYLES: ReadonlyMap<number, string> = new Map([
  [1, "ansi-bold"],
  [2, "ansi-faint"],
  [3, "ansi-italic"],
  [4, "ansi-underline"],
  ...NAMES.flatMap((name, index): Array<[number, string]> => [
    [30 + index, `ansi-${name}`],
    [90 + index, `ansi-${name}`],
  ]),
]);
const COLOR_CLASSES: readonly string[] = NAMES.map((name) => `ansi-${name}`);

/** The codes that end a style, with what they end. */
const ENDS: ReadonlyMap<number, readonly string[]> = new Map([
  [22, ["ansi-bold", "ansi-faint"]],
  [23, ["ansi-italic"]],
  [24, ["ansi-underline"]],
  [39, COLOR_CLASSES],
]);

/** Colours, bold, faint, italic, underline and what ends them; not blinking, inverse, concealed or other fonts. */
function isHarmless(code: number): boolean {
  return code <= 4 || (code >= 21 && code <= 49 && code !== 26) || (code >= 90 && code <= 107);
}

/** The style after a sequence; nothing where the sequence is to be shown. */
function restyled(before: readonly string[], codes: readonly number[]): readonly string[] | undefined {
  let style = before;
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] ?? 0;
    // A colour by its number or its parts has no class: its parameters are passed over.
    if (code === 38 || code === 48) {
      index += codes[index + 1] === 2 ? 4 : 2;
      continue;
    }
    if (!isHarmless(code)) return undefined;
    if (code === 0) style = [];
    const ended = ENDS.get(code);
    if (ended) style = style.filter((name) => !ended.includes(name));
    const added = STYLES.get(code);
    if (added === undefined) continue;
    const replaced = COLOR_CLASSES.includes(added) ? COLOR_CLASSES : [added];
    style = [...style.filter((name) => !replaced.includes(name)), added];
  }
  return style;
}
