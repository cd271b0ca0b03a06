import { CliError } from "../../errors.ts";
import { checkPrompt, problemWithPrompt } from "../../runs/start/prompt.ts";
import { isSendable, type Entry, type Target } from "../item.ts";
import { Problems } from "./problems.ts";

const BUILT_IN = ["user", "line"];

/** The prompt as one target gets it. The names are the JSON output's: a public interface. */
export interface ExamplePrompt {
  readonly index: number;
  readonly named: string;
  readonly prompt: string;
}

/**
 * A prompt in which `{{field}}` stands for what the input says of each target. `user` is how the input names the user, `line`
 * the input's line, unless it has columns of these names. A backslash before it (`\{{`) takes the braces as they are.
 */
export class PromptTemplate {
  /** As it was written. */
  readonly text: string;
  /** The fields that it needs. */
  readonly fields: readonly string[];
  /** Text and field in turns, a text at both ends. */
  readonly #parts: readonly string[];

  /**
   * @param onBadBraces ends it where a `{{` is not that of a field, which line of the text it stands in.
   * @throws CliError `usage` in that case, unless `onBadBraces` throws something else.
   */
  constructor(text: string, onBadBraces: (line: number) => never = refuseBraces) {
    this.text = text;
    this.#parts = partsOf(text, onBadBraces);
    this.fields = [...new Set(this.#parts.filter((_, at) => at % 2 === 1))];
  }

  /** The prompt for a target. Where nothing stands for anything, it is the same string for all. */
  render(entry: Entry): string {
    const [first = "", ...rest] = this.#parts;
    if (rest.length === 0) return first;
    return first + rest.map((part, at) => (at % 2 === 0 ? (valueOf(entry, part) ?? "") : part)).join("");
  }

  /** The prompt of the first target that gets one; `null` where all get the prompt as it was written, or none gets one. */
  example(targets: Iterable<Target>): ExamplePrompt | null {
    if (this.fields.length === 0) return null;
    for (const target of targets) {
      if (!isSendable(target)) continue;
      return { index: target.index, named: target.userEmail ?? target.named, prompt: this.render(target) };
    }
    return null;
  }

  /**
   * Checks the prompts of all targets, before anything is sent.
   *
   * @param columns what there is for a field to stand for.
   * @throws CliError `usage` that names the lines: a field that an entry does not have, a prompt that the platform would not
   *   take.
   */
  check(entries: Iterable<Entry>, columns: readonly string[]): void {
    if (this.fields.length === 0)
      return void checkPrompt(this.render({ named: "", instance: null, line: null, fields: {} }));
    const problems = new Problems();
    let number = 0;
    for (const entry of entries) {
      number += 1;
      const where = whereOf(entry, number);
      const missing = this.fields.filter((field) => valueOf(entry, field) === undefined);
      if (missing.length > 0) {
        problems.add(where, `it has no ${missing.map((field) => `{{${field}}}`).join(" and no ")}`);
        continue;
      }
      const problem = problemWithPrompt(this.render(entry));
      if (problem !== undefined) problems.add(where, `the prompt ${problem}`);
    }
    problems.throwIfAny(
      (count) => `${count === 1 ? "1 prompt" : `${count} prompts`} cannot be made from the template`,
      [`a prompt can have: ${[...new Set([...columns, ...BUILT_IN])].map((field) => `{{${field}}}`).join(" ")}`],
    );
  }
}

/** Where an entry is in the input, in words. `number`: which of the entries it is, from 1. */
export function whereOf({ line, named }: Entry, number: number): string {
  return line === null ? `target ${number} (${named})` : `line ${line}`;
}

function valueOf(entry: Entry, field: string): string | undefined {
  if (Object.hasOwn(entry.fields, field)) return entry.fields[field];
  if (field === "user") return entry.named;
  return field === "line" ? entry.line?.toString() : undefined;
}

function refuseBraces(line: number): never {
  const message = `the prompt's {{ at line ${line} is not followed by a field's name and }}; nothing was sent`;
  throw new CliError("usage", message, { hint: BRACES_HINT });
}

/** What to write instead of braces that are not understood. */
export const BRACES_HINT = "a field is written {{name}}; where the braces are meant, write \\{{";

function partsOf(text: string, onBadBraces: (line: number) => never): string[] {
  const parts: string[] = [];
  let before = "";
  for (let at = 0; at < text.length;) {
    const next = text.indexOf("{{", at);
    if (next === -1) return [...parts, before + text.slice(at)];
    if (text[next - 1] === "\\") {
      before += `${text.slice(at, next - 1)}{{`;
      at = next + 2;
      continue;
    }
    const end = text.indexOf("}}", next);
    const field = end === -1 ? "" : text.slice(next + 2, end).trim();
    if (field === "" || /[{}\r\n]/.test(field)) return onBadBraces(text.slice(0, next).split("\n").length);
    parts.push(before + text.slice(at, next), field);
    before = "";
    at = end + 2;
  }
  return [...parts, before];
}
