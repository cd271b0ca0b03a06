import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { holderWords, type Holder } from "../../journal/claim.ts";
import { hint, option } from "../../typed-command.ts";

interface SetAsideOptions {
  readonly yes?: boolean | undefined;
  readonly reason?: string | null | undefined;
}

/**
 * Has the user confirm that a process which cannot be seen from here has ended, by typing its number. Off a terminal `--yes`
 * needs a `--reason` beside it.
 *
 * @throws CliError `usage`, `interrupted`
 */
export async function confirmSetAside(
  { output, prompter, platform }: Pick<Context, "output" | "prompter" | "platform">,
  holder: Holder,
  { yes = false, reason }: SetAsideOptions,
): Promise<void> {
  const reasoned = Boolean(reason);
  output.notes([{ label: "held by", value: holderWords(holder) }], { needed: true });
  if (yes && !reasoned && !prompter.canAsk) {
    throw new CliError("usage", `${holderWords(holder)} cannot be seen from here; nothing was changed`, {
      hint: hint`if it has certainly ended, say how you know: add ${option("--reason", "TEXT")}`,
    });
  }
  await prompter.confirm(
    "It cannot be seen from here whether this process has ended. If it has not, a second run may be started. Set it aside?",
    { yes: yes && reasoned, platform: await platform(), word: String(holder.pid) },
  );
}
