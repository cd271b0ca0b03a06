/** Finds out what an ambiguous word means: from the user, or by telling what to type. */
import type { CommandLine } from "./command-line.ts";
import type { Ambiguity, Choose } from "./customers/choice.ts";
import { CliError } from "./errors.ts";
import type { ShownPlatform } from "./terminal/output.ts";
import type { Prompter } from "./terminal/prompter.ts";
import { hint, option as typedOption, plain, type Said } from "./typed-command.ts";

export interface ChooserOptions {
  readonly prompter: Pick<Prompter, "canAsk" | "choose">;
  readonly platform: () => Promise<ShownPlatform>;
  readonly line: CommandLine;
}

/** Lets the user choose from a list; off a terminal, or with `--no-input`, the error has each choice with the line to type. */
export function chooser({ prompter, platform, line }: ChooserOptions): Choose {
  return async (ambiguity) => {
    const { kind, message, question, choices } = ambiguity;
    if (!prompter.canAsk) throw new CliError(kind, message, { hint: linesToType(ambiguity, line) });
    const id = await prompter.choose(
      question,
      await platform(),
      choices.map((choice) => ({ value: choice.id, name: `${choice.id}  ${choice.label}` })),
    );
    const chosen = choices.find((choice) => choice.id === id);
    if (!chosen) throw new Error(`"${id}" was no choice`);
    return chosen.value;
  };
}

function linesToType<T>({ kind, choices, more = 0, word, option }: Ambiguity<T>, line: CommandLine): Said[] {
  const byOption = option !== undefined && line.takes(option);
  const lines = choices.map(({ id, label, toType = byOption ? line.with(option, id) : line.instead(word, id) }) => {
    return hint`${label}: ${toType ?? (byOption ? typedOption(option, id) : id)}`;
  });
  return [
    ...(kind === "not-found" ? ["did you mean:"] : []),
    ...lines,
    ...(more > 0 ? [hint`${plain(`and ${more} more; give more of`)} ${word}`] : []),
  ];
}
