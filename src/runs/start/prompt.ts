import { MAX_PROMPT_LENGTH } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";

/**
 * Checks a prompt before anything is sent. It is sent as it is, not trimmed.
 *
 * @throws CliError `usage`: empty, only white space (the platform would start that), longer than 10,000 UTF-16 units, a NUL
 *   (the platform answers 500), or half of a surrogate pair (would be stored as another character).
 */
export function checkPrompt(text: string): string {
  const problem = problemWithPrompt(text);
  if (problem) throw new CliError("usage", `the prompt ${problem}; nothing was sent`);
  return text;
}

/** What is wrong with a prompt, to be read behind "the prompt". */
export function problemWithPrompt(text: string): string | undefined {
  if (text === "") return "is empty";
  if (text.trim() === "") return "is only white space";
  if (text.length > MAX_PROMPT_LENGTH) {
    return `is ${text.length} UTF-16 units long; the platform takes at most ${MAX_PROMPT_LENGTH}`;
  }
  if (text.includes("\0")) return `has a NUL character at position ${text.indexOf("\0") + 1}`;
  const lone = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.exec(text);
  return lone ? `is not valid Unicode: half of a surrogate pair at position ${lone.index + 1}` : undefined;
}
