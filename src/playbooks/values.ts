/** Which values a field takes. */
import { runInNewContext } from "node:vm";
import { quoted } from "../bulk/input/problems.ts";
import { isSafe } from "../terminal/sanitize.ts";
import type { Field } from "./playbook.ts";

/** In UTF-16 units. */
export const MAX_VALUE_LENGTH = 500;
/** For all values of a field. A pattern that backtracks without end would take years. */
const MAX_MATCHING_MS = 2_000;

/** A field's pattern as it is applied: to the whole value. `undefined` where it is no regular expression. */
export function compiled(pattern: string): RegExp | undefined {
  try {
    // By itself as well: `a)|(b` is one only between other parentheses, and would not be bound to the whole value.
    const { source } = new RegExp(pattern, "u");
    return new RegExp(`^(?:${source})$`, "u");
  } catch {
    return undefined;
  }
}

/**
 * What is wrong with values of a field, each in words to be read behind the field's name. Values that are not in the answer do.
 */
export function problemsWithValues({ pattern }: Pick<Field, "pattern">, values: Iterable<string>): Map<string, string> {
  const problems = new Map<string, string>();
  const left: string[] = [];
  for (const value of new Set(values)) {
    const problem = problemWithText(value);
    if (problem === undefined) left.push(value);
    else problems.set(value, problem);
  }
  const expression = pattern === null ? undefined : compiled(pattern);
  if (!expression || left.length === 0) return problems;
  const matches = matching(expression, left);
  for (const [index, value] of left.entries()) {
    if (matches === undefined) problems.set(value, `its pattern cannot be matched in time: ${pattern}`);
    else if (matches[index] !== true) problems.set(value, `${quoted(value)} does not match ${pattern}`);
  }
  return problems;
}

function problemWithText(value: string): string | undefined {
  if (value.trim() === "") return "it is empty";
  if (value.length > MAX_VALUE_LENGTH) return `${quoted(value)} is longer than ${MAX_VALUE_LENGTH} characters`;
  // Line breaks and tabs, too: a value is a word or a sentence, not a text of its own.
  if (/\p{Cc}/u.test(value) || !isSafe(value)) return `there is a control or invisible character in ${quoted(value)}`;
  return undefined;
}

/** Whether each value matches; `undefined` where that cannot be found out in time. */
function matching(expression: RegExp, values: readonly string[]): readonly boolean[] | undefined {
  const matches: boolean[] = [];
  const test = (value: string) => void matches.push(expression.test(value));
  try {
    // The only place where a regular expression can be given up.
    runInNewContext("values.forEach(test)", { values, test }, { timeout: MAX_MATCHING_MS });
    return matches;
  } catch {
    // Given up, or too large for the engine.
    return undefined;
  }
}
