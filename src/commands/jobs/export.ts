import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { exportJob } from "../../bulk/job/handover.ts";
import { findJob, jobRecord } from "../../bulk/job/job.ts";
import { EXPORT } from "../../bulk/job/records.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { writeWholeFile } from "../../files/whole-file.ts";
import { holderWords, writerOf } from "../../journal/claim.ts";
import { openPath } from "../../journal/folder.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { jobArgument } from "../shared/job/view.ts";
import { examples } from "../shared/options.ts";

interface ExportOptions {
  readonly save?: string | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<job>", jobArgument)
    .option("--save <file>", "write it to a file that only you may read")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin jobs export @latest > INC-4711.job",
        "kiloclaw-admin jobs export 7c1e9a52 --save INC-4711.job",
      ) +
        "\n\nThe job in one file, for another machine: plan, prompt, journal and results, with checksums, and without any token. There:" +
        "\nkiloclaw-admin jobs import FILE. It holds customers' addresses and the prompt. No process may be working on the job." +
        "\nNeeds no token and no network. From then on any admin's run of the job's prompt counts as the job's, here as well.",
    )
    .action(async (id, options) => exportToFile(await open(), id, options));
}

export const prints = (): Prints => [];

async function exportToFile(context: Context, id: string, { save }: ExportOptions): Promise<void> {
  const { output, paths, host } = context;
  if (save === undefined && host.stdout.isTTY) {
    throw new CliError("usage", "an export is not printed to a terminal", {
      hint: hint`redirect it, or name a file: ${command("jobs export", id, { "--save": "FILE" })}`,
    });
  }
  const file = await findJob(paths.state, id);
  const { ticket, reason } = await jobRecord(file);
  const holder = await writerOf(openPath(paths.state, file.name));
  if (holder) {
    throw new CliError(
      "conflict",
      `job ${file.id} is being worked on by ${holderWords(holder)}; nothing was exported`,
      {
        hint: [
          "interrupt it there (Ctrl-C); what is in progress goes on",
          hint`or cancel it: ${command("jobs cancel", file.id)}`,
        ],
        sent: false,
      },
    );
  }
  const ledger = await context.ledger(EXPORT, { ticket, reason }, { file }, await context.meByToken());
  const bytes = await exportJob(paths.state, await ledger.journal());
  if (save === undefined) output.raw(bytes.toString("utf8"));
  else {
    const path = resolve(host.cwd, save);
    await writeWholeFile(path, bytes);
    output.success(`exported job ${file.id} to ${path}`);
  }
  output.note(hint`on the other machine: ${command("jobs import", save ?? "FILE")}`);
}
