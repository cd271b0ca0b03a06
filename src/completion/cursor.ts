/** Where the cursor stands in a line that is being typed, by the command tree itself. */
import type { Argument, Command, CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { optionIn } from "../strict-command.ts";

/** Any command of the tree. */
export type Node = CommandUnknownOpts;

export interface Cursor {
  /** The innermost command that is named before it. */
  readonly command: Node;
  /** What is to be typed there. */
  readonly wanted: "command" | "option" | Option | Argument;
  /** What stands before the value in the same word: `--user=`. */
  readonly head: string;
  /** What is typed of it so far. */
  readonly typed: string;
  /** The options that are given before it, by their long names, those without a value with `true`. */
  readonly options: ReadonlyMap<string, string | true>;
  /** The command's arguments that are given before it. */
  readonly operands: readonly string[];
}

/**
 * Finds what is to be typed at the cursor, reading the words before it as the program itself would.
 *
 * @param words those before it, without the program's name.
 * @param typed what is typed of the word that it stands in.
 * @param fill has a command filled with its own options, arguments or commands.
 * @returns `undefined` where nothing more is expected, or the words before it are no command line.
 */
export async function findCursor(
  program: Command,
  words: readonly string[],
  typed: string,
  fill: (command: Node) => Promise<void>,
): Promise<Cursor | undefined> {
  let command = program as Node;
  const options = new Map<string, string | true>();
  const operands: string[] = [];
  /** The option whose value comes next. */
  let open: { readonly option: Option; readonly given: boolean } | undefined;
  let onlyOperands = false;
  for (const word of words) {
    if (open && !(open.given && word.startsWith("-"))) {
      options.set(nameOf(open.option), word);
      open = open.option.variadic ? { option: open.option, given: true } : undefined;
    } else if (!onlyOperands && word === "--") {
      open = undefined;
      onlyOperands = true;
    } else if (!onlyOperands && isOption(word)) {
      open = undefined;
      const { option, rest: value } = optionIn(word, finder(command));
      if (!option) continue;
      if (takesValue(option) && value === undefined) open = { option, given: false };
      else options.set(nameOf(option), value ?? true);
    } else if (isParent(command)) {
      const named = command.commands.find((child) => [child.name(), ...child.aliases()].includes(word));
      if (!named) return undefined;
      command = named;
      await fill(command);
    } else operands.push(word);
  }
  const at = (wanted: Cursor["wanted"], head = "") => {
    return { command, wanted, head, typed: typed.slice(head.length), options, operands };
  };
  if (open && !(open.given && typed.startsWith("-"))) return at(open.option);
  if (!onlyOperands && isOption(typed)) {
    const { option, rest: value } = optionIn(typed, finder(command));
    if (value === undefined) return at("option");
    return option && takesValue(option) ? at(option, typed.slice(0, typed.length - value.length)) : undefined;
  }
  if (isParent(command)) return at("command");
  const last = command.registeredArguments.at(-1);
  const argument = command.registeredArguments[operands.length] ?? (last?.variadic ? last : undefined);
  if (argument) return at(argument);
  return typed === "" || (typed === "-" && !onlyOperands) ? at("option") : undefined;
}

/** What its value is called in the help: `user` of `-u, --user <user>`. */
export function placeholderOf(declared: Option | Argument): string {
  return "flags" in declared ? (/[<[]([^\]>.]+)/.exec(declared.flags)?.[1] ?? "") : declared.name();
}

/** An option's long name, or its only one. */
export function nameOf({ long, short, flags }: Option): string {
  return long ?? short ?? flags;
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** How an option of the command is found by its flag. */
const finder = (command: Node) => (flag: string) =>
  command.options.find(({ short, long }) => flag === short || flag === long);

function isOption(word: string): boolean {
  return word.startsWith("-") && word !== "-";
}

/** Whether the next word is the name of a command in it. */
function isParent(command: Node): boolean {
  return command.commands.length > 0;
}
