/** What failures have in common: the words for what went wrong, without what differs from one target to the next. */
import { withoutTokens } from "../../secrets.ts";
import { isDecided } from "../item-state.ts";
import type { Item } from "../item.ts";

/** What it is made of. */
export type Failure = Pick<Item, "state" | "exitCode" | "problem"> & {
  readonly target: Pick<Item["target"], "planned">;
};

/** So much of a text is looked at: what is wrong is said at its beginning, and nobody's text may cost more than others'. */
const MAX_TEXT_LENGTH = 600;
const MAX_SIGNATURE_LENGTH = 160;

/**
 * What differs and what stands for it, in this order: what is made of parts goes before its parts. None of them looks further
 * than it has to, so that the time grows with the text's length only.
 */
const PLACEHOLDERS: readonly (readonly [what: RegExp, placeholder: string])[] = [
  // Colours and other escape sequences, then all controls.
  // oxlint-disable-next-line no-control-regex -- they are what is taken out
  [/\u001b\[[0-9;:?]{0,48}[A-Za-z]/g, ""],
  [/(?:[^\S ]|\p{Cc})+/gu, " "],
  // An apostrophe within a word quotes nothing.
  [
    /(?<![\p{L}\p{N}])(?:"[^"]{0,300}"|'[^']{0,300}'|`[^`]{0,300}`|“[^”]{0,300}”|‘[^’]{0,300}’)(?![\p{L}\p{N}])/gu,
    "<quoted>",
  ],
  [/\bhttps?:\/\/[^\s<>"')\]]+/gi, "<url>"],
  [/(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}/g, "<email>"],
  [/(?<![\da-f-])[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}(?![\da-f-])/gi, "<id>"],
  [/(?<!\d)\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d)/g, "<time>"],
  [/(?<!\d)\d\d?:\d\d:\d\d(?:[.,]\d{1,9})?(?!\d)/g, "<time>"],
  [/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\d.])/g, "<address>"],
  [/\b0x[\da-f]+/gi, "<hex>"],
  // Letters alone are words, digits alone a number.
  [/(?<![\w-])(?=[a-f]{0,64}\d)(?=\d{0,64}[a-f])[\da-f]{7,64}(?![\w-])/gi, "<hex>"],
  [/(?<=\/(?:home|Users|tmp)\/)[^/\s<>:,;)\]]+/g, "<name>"],
  // In a path, what a program has numbered or made up: letters and digits mixed.
  [/(?<=\/)(?=[\w.-]{0,80}?\d)[\w.-]*[A-Za-z_-][\w.-]*(?=\/)/g, "<name>"],
  [/(?<![A-Za-z\d.])\d+(?:\.\d+)? ?(?:ms|[smhd])\b(?: ?\d+ ?(?:ms|[smhd])\b)*/g, "<time>"],
];

/** These numbers are names: an HTTP status (`503 Service Unavailable`), an exit code, a signal, a code such as `E404`. */
const TELLING_NUMBER =
  /(?<=\b(?:HTTP|status|code|exit|signal|errno)[ :=]{1,2})\d{1,3}(?![\d.])|\b[1-5]\d\d(?= [A-Z][a-z])|\b[A-Z]{1,4}\d{3,5}\b/g;
const NUMBER = /\d+(?:[.,]\d+)*/g;
const SAME_AGAIN = /(<\w+>)(?:(?:, ?|; ?| )\1)+/g;

/**
 * By what failures are grouped: the state, the exit code, and what was said, with placeholders for what differs from target
 * to target (IDs, numbers, times, addresses, names in paths, quoted values). `null` where nobody has to look: what completed,
 * what is under way, what another line of the plan stands for. Holds no controls, but otherwise anything that the text did:
 * not safe to show.
 */
export function signatureOf({ state, exitCode, problem, target }: Failure): string | null {
  if (!isDecided(state) || state === "completed") return null;
  if (target.planned === "duplicate") return null;
  // What more is known of a target that could not be planned is about that one only.
  if (state === "unplanned") return `${state}, ${target.planned}`;
  const head = exitCode === null ? state : `${state}, exit code ${exitCode}`;
  const text = problem === null ? "" : normalize(problem);
  return text === "" ? head : cut(`${head}: ${text}`, MAX_SIGNATURE_LENGTH);
}

function normalize(problem: string): string {
  let text = withoutTokens(beginning(problem, MAX_TEXT_LENGTH));
  for (const [what, placeholder] of PLACEHOLDERS) text = text.replace(what, placeholder);
  return withoutNumbers(text).replaceAll(SAME_AGAIN, "$1").replaceAll(/ {2,}/g, " ").trim();
}

function withoutNumbers(text: string): string {
  let result = "";
  let done = 0;
  for (const { 0: telling, index } of text.matchAll(TELLING_NUMBER)) {
    result += text.slice(done, index).replaceAll(NUMBER, "<n>") + telling;
    done = index + telling.length;
  }
  return result + text.slice(done).replaceAll(NUMBER, "<n>");
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${beginning(text, length - 1)}…`;
}

/** At most so many characters, none of them halved. */
function beginning(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}
