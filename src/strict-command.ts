import { Command, type AddHelpTextContext, type AddHelpTextPosition, type Option } from "@commander-js/extra-typings";
import { CliError } from "./errors.ts";
import { hint, option as typedOption, plain, type OptionsToType } from "./typed-command.ts";

/** An option as it was given, with its value if it takes one: in a word of its own, right behind `-x`, or behind `--word=`. */
interface Given {
  readonly option: Option;
  readonly value: string | undefined;
  readonly how: "alone" | "separate" | "attached" | "equals";
}

/**
 * A word that has the form of an option: `-x`, `--word`, `--word=…`. Carriage returns come with scripts from Windows, the long dashes
 * from editors that replace `--`.
 */
const LIKE_AN_OPTION = /^(?:[-\u2010-\u2015\u2212]\S+|--[\w-]+=.*)$/su;

/**
 * A command that lets no option take another one for its value: `-p --dry-run`, where `$PROMPT` was empty and not quoted, would start
 * what was to be looked at. Seen before anything is parsed, whether the word is a known option or a mistyped one.
 */
export class StrictCommand extends Command {
  /** What its help says besides: its examples first, each part behind a blank line. */
  readonly texts: (string | ((context: AddHelpTextContext) => string))[] = [];

  #argv: readonly string[] = [];

  /** Help puts them in their places, see `help-screen.ts`. */
  override addHelpText(position: AddHelpTextPosition, text: string | ((context: AddHelpTextContext) => string)): this {
    if (position === "after") this.texts.push(text);
    else super.addHelpText(position, text as string);
    return this;
  }

  override createCommand(name?: string): Command {
    return new StrictCommand(name);
  }

  /** What was given to it the last time that its options were read. */
  givenOptions(): Given[] {
    return [...optionsIn(this.#argv, this)];
  }

  /** @throws CliError `usage` when an option would take what looks like another one, or nothing at all, for its value. */
  override parseOptions(argv: string[]): ReturnType<Command["parseOptions"]> {
    for (const given of optionsIn(argv, this)) check(given);
    this.#argv = argv;
    return super.parseOptions(argv);
  }
}

/** The options that were given to a command but for the named ones, as they are typed: what a corrected line must not lose. */
export function otherOptions(command: object, ...without: readonly string[]): OptionsToType[] {
  if (!(command instanceof StrictCommand)) return [];
  return command
    .givenOptions()
    .filter(({ option: { long } }) => !without.includes(long ?? ""))
    .map(({ option: { long }, value }): OptionsToType => ({ [long as `--${string}`]: value ?? true }));
}

function check({ option, value, how }: Given): void {
  if (value === undefined) return;
  const name = option.long ?? option.flags;
  if (value.trim() === "") {
    throw new CliError("usage", `${name} is ${value === "" ? "empty" : "only white space"}; nothing was sent`, {
      hint: "is a variable not set?",
    });
  }
  if (how === "equals" || !LIKE_AN_OPTION.test(value.trim())) return;
  throw new CliError("usage", `${name} would take "${value.trim()}" for its value; nothing was sent`, {
    hint: [
      hint`if a variable was empty there, set it, and quote it: ${plain(`${name} "$VALUE"`)}`,
      hint`if that is meant to be the value: ${typedOption(name as `--${string}`, value.trim())}`,
    ],
  });
}

/** A command's own options, read as commander reads them: up to `--`, or up to the name of a command in it. */
function* optionsIn(argv: readonly string[], command: StrictCommand): Generator<Given> {
  const find = (flag: string) => command.options.find(({ short, long }) => flag === short || flag === long);
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    if (word === "--") return;
    if (!word.startsWith("-") || word === "-") {
      if (command.commands.length > 0) return;
      continue;
    }
    const { option, rest } = optionIn(word, find);
    if (word.startsWith("--") && option?.required === false) yield { option, value: rest, how: "alone" };
    for (const letter of /^-(\w+)$/u.exec(word)?.[1] ?? "") {
      const flag = find(`-${letter}`);
      if (!flag || flag.required) break;
      yield { option: flag, value: undefined, how: "alone" };
    }
    if (!option?.required) continue;
    if (rest !== undefined) yield { option, value: rest, how: word.startsWith("--") ? "equals" : "attached" };
    else if (at + 1 < argv.length) yield { option, value: argv[(at += 1)] ?? "", how: "separate" };
  }
}

/** The option that a word such as `--user`, `--user=jane`, `-u`, `-ujane` or `-qu` names, and the value that the word has itself. */
export function optionIn(
  word: string,
  find: (flag: string) => Option | undefined,
): { option: Option | undefined; rest: string | undefined } {
  const [, long, rest] = /^(--[^=]+)(?:=(.*))?$/su.exec(word) ?? [];
  return long === undefined ? lastOf(word, find) : { option: find(long), rest };
}

/** The option that counts in a group of short ones such as `-qp`: the one with a value, and what follows it in the word; else the last. */
function lastOf(
  word: string,
  find: (flag: string) => Option | undefined,
): { option: Option | undefined; rest: string | undefined } {
  for (let at = 1; at < word.length; at += 1) {
    const option = find(`-${word[at]}`);
    if (!option) break;
    if (option.required || option.optional) return { option, rest: word.slice(at + 1) || undefined };
    if (at === word.length - 1) return { option, rest: undefined };
  }
  return { option: undefined, rest: undefined };
}
