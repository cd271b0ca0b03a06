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

/** What says that something may be done to many, where nobody is asked. */
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
 * @throws CliError `usage`, `interrupted`
 */
export async function confirmMany(
  { prompter, platform }: Pick<Context, "prompter" | "platform">,
  question: string,
  count: number,
  { yes = false, expectCount, what = "run" }: ConfirmOptions & { readonly what?: "run" | "target" },
): Promise<void> {
  const runs = count === 1 ? `1 ${what} is` : `${count} ${what}s are`;
  if (expectCount !== undefined && expectCount !== count) {
    throw new CliError("usage", `${runs} selected, not ${expectCount}; nothing was changed`, {
      hint: `look at them; if they are the right ones: --expect-count ${count}`,
    });
  }
  if (yes && !prompter.canAsk && expectCount === undefined && count > MAX_UNCOUNTED) {
    throw new CliError("usage", `${runs} selected: --yes alone is not enough for more than ${MAX_UNCOUNTED}`, {
      hint: `look at them with --dry-run; if they are the right ones, add --expect-count ${count}`,
    });
  }
  await prompter.confirm(question, { yes, platform: await platform() });
}
