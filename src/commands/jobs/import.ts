import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { addAbortSignal } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Command } from "@commander-js/extra-typings";
import { importJob, noteHandover } from "../../bulk/job/handover.ts";
import { readJob } from "../../bulk/job/job.ts";
import { IMPORT } from "../../bulk/job/records.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError, messageOf } from "../../errors.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { jobView, shownJob } from "../shared/job/details.ts";
import { examples } from "../shared/options.ts";

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("<file>", "what jobs export has written; - is standard input")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin jobs import INC-4711.job",
        "ssh ops1 kiloclaw-admin jobs export @latest | kiloclaw-admin jobs import -",
      ) +
        "\n\nThe job can then be reported, resumed and retried here. Sends nothing; needs no token and no network. What was started is" +
        "\ndecided by the platform's records: a file that is old, or imported on two machines, never leads to a second start.",
    )
    .action(async (file) => importFromFile(await open(), file));
}

export const prints = (): Prints => [{ view: jobView }];

async function importFromFile(context: Context, from: string): Promise<void> {
  const { output, paths, host } = context;
  output.expect(jobView);
  const bytes = await bytesOf(context, from);
  const { file, record, known } = await importJob(paths.state, bytes, {
    platform: await context.platform(),
    pid: host.pid,
  });
  if (!known) {
    const { ticket, reason } = record;
    const ledger = await context.ledger(IMPORT, { ticket, reason }, { file }, await context.meByToken());
    await noteHandover(await ledger.journal(), IMPORT);
    await ledger.close();
  }
  const job = await readJob(file);
  await output.item(shownJob(job), jobView);
  if (known) output.note(`job ${file.id} was here already, with all that the file has; nothing was changed`);
  else output.success(`imported job ${file.id}; nothing was sent`);
  output.note(hint`see each target's outcome: ${command("jobs report", file.id)}`);
  if (job.facts.state !== "done") output.note(hint`resume it: ${command("jobs resume", file.id)}`);
}

async function bytesOf({ host }: Context, from: string): Promise<Buffer> {
  if (from === "-") return buffer(addAbortSignal(host.stop, host.stdin));
  const path = resolve(host.cwd, from);
  try {
    return await readFile(path);
  } catch (error) {
    throw new CliError("usage", `${path} cannot be read: ${messageOf(error)}; nothing was imported`, { cause: error });
  }
}
