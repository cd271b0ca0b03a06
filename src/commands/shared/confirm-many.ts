import { Option, type Command, type OptionValues } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { wholeNumber, yesOption } from "./options.ts";

/** So many may be changed with `--yes` alone where nobody can be asked. */
const MAX_UNCOUNTED = 20;

export const expectCountOption = () =>
  new Option("--expect-count <n>", "continue only if exactly this many are selected").argParser(
    wholeNumber(0, 100_000),
  );

/** The options that confirm an action on many targets without a question. */
export interface ConfirmOptions {
  readonly yes?: boolean | undefined;
  readonly expectCount?: number | undefined;
}

/** The command with {@link ConfirmOptions}. */
export function confirmOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command.addOption(yesOption()).addOption(expectCountOption());
}

/**
 * Has the user confirm something that is done to `count` runs or targets. Where nobody can be asked, `--yes` is enough for a few;
 * for more the user has to know how many.
 *
 * @param inAll how many there are on all machines, each with a slice of them: all are given the same number to expect.
 * @throws CliError `usage`, `interrupted`
 */
export async function confirmMany(
  { prompter, platform }: Pick<Context, "prompter" | "platform">,
  question: string,
  count: number,
  {
    yes = false,
    expectCount,
    what = "run",
    inAll,
  }: ConfirmOptions & { readonly what?: "run" | "target"; readonly inAll?: number | undefined },
): Promise<void> {
  const runs = count === 1 ? `1 ${what} is` : `${count} ${what}s are`;
  const all = inAll ?? count;
  if (expectCount !== undefined && expectCount !== all) {
    const selected = inAll === undefined ? `${runs} selected` : `all slices together have ${inAll} entries`;
    throw new CliError("usage", `${selected}, not ${expectCount}; nothing was changed`, {
      hint: `look at them; if they are the right ones: --expect-count ${all}`,
    });
  }
  if (yes && !prompter.canAsk && expectCount === undefined && count > MAX_UNCOUNTED) {
    throw new CliError("usage", `${runs} selected: --yes alone is not enough for more than ${MAX_UNCOUNTED}`, {
      hint: `look at them with --dry-run; if they are the right ones, add --expect-count ${all}`,
    });
  }
  await prompter.confirm(question, { yes, platform: await platform() });
}
