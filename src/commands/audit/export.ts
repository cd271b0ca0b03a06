import type { Command } from "@commander-js/extra-typings";
import { compareWithPlatform } from "../../audit/check.ts";
import { ACCOUNT_FIELDS, accountsOf, type Account } from "../../audit/export.ts";
import { loggedOperations } from "../../audit/operation.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { examples } from "../shared/options.ts";
import { assertInOrder, momentOf, sinceOf, sinceOption, untilOption, type GivenTime } from "../shared/when.ts";
import { Damages } from "./shared/damages.ts";

interface ExportOptions {
  readonly since?: GivenTime | undefined;
  readonly until?: GivenTime | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(sinceOption())
    .addOption(untilOption())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin audit export --since 2026-11-01 --until 2026-12-01 -o csv > november.csv",
        "kiloclaw-admin audit export --since 7d -o json",
      ) +
        "\n\nEverything that this machine's journal has about the platform, each with the platform's own audit record, and what the\n" +
        "platform has of yours that the journal has not. One line each: who, what, when, to whom, why, what became of it, whether\n" +
        "the platform says the same (verified), and the journal's file, record and hash to look it up by. Times are UTC. What is\n" +
        "wrong with them: kiloclaw-admin audit verify.",
    )
    .action(async (options) => exportAccounts(await open(), options));
}

export const prints = (): Prints => [{ view: accountView }];

async function exportAccounts(context: Context, options: ExportOptions): Promise<void> {
  const { output, paths } = context;
  output.expect(accountView);
  if (output.format === "table") {
    throw new CliError("usage", "name the format of the export: -o csv, json or jsonl", {
      hint: [command("audit export", { "--output": "csv" }), hint`to read it here: ${command("audit log")}`],
    });
  }
  const api = await context.api();
  const [platform, { userId: adminId }] = await Promise.all([context.platform(), context.me()]);
  const since = sinceOf(context, options.since, api.clock)?.();
  const until = options.until && momentOf(options.until, api.clock);
  assertInOrder(since, until);
  const damages = new Damages(output);
  const read = () => loggedOperations(paths.state, { platform }, damages);
  const progress = await output.busy("asking the platform");
  const madeAt = (await context.sandboxAt(platform.origin))?.madeAt;
  const compared = compareWithPlatform(api, { read, adminId, madeAt, since });
  const accounts = await compared
    .then((checks) => accountsOf(api, checks, platform.origin))
    .finally(() => progress.stop());
  await output.list(
    accounts.filter(({ at }) => until === undefined || at < until),
    accountView,
    "nothing is on record",
  );
  damages.throwIfAny();
}

const accountView: View<Account> = {
  shape: "account",
  fields: ACCOUNT_FIELDS,
  id: ({ op, auditId, runId }) => op ?? auditId ?? runId ?? "-",
};
