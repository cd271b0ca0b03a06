import type { Command } from "@commander-js/extra-typings";
import { wait } from "../../async/wait.ts";
import { isDecided } from "../../bulk/item-state.ts";
import { callOff } from "../../bulk/job/called-off.ts";
import { loadJob, readJob, type Job } from "../../bulk/job/job.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { takeOverCommand, writerOf } from "../../journal/claim.ts";
import { openPath } from "../../journal/folder.ts";
import { resolveRuns } from "../../runs/find.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { cancelRuns, lossOptions, type CancelOptions } from "../shared/cancel-runs.ts";
import { countsWords } from "../shared/job/screen.ts";
import { JobTally } from "../shared/job/tally.ts";
import { jobArgument } from "../shared/job/view.ts";
import { examples, yesOption } from "../shared/options.ts";
import { runCount, runView } from "../shared/run-view.ts";
import { whyOf, whyOptions } from "../shared/ticket-and-reason.ts";
import { refreshed } from "./shared/refresh.ts";
import { assertSamePlatform } from "./shared/same-platform.ts";

export function configure(command: Command, open: OpenContext): void {
  lossOptions(whyOptions(command.argument("<job>", jobArgument).addOption(yesOption())))
    .option("-n, --dry-run", "show what would be cancelled, and change nothing")
    .addHelpText(
      "after",
      examples("kiloclaw-admin jobs cancel @latest", "kiloclaw-admin jobs cancel 7c1e9a52 --yes --ticket INC-42") +
        "\n\nThe job's process, in whichever terminal, starts nothing more; when it has ended, the runs in progress are cancelled." +
        "\nWhat was not started can be started later: kiloclaw-admin jobs resume",
    )
    .action(async (id, options) => cancel(await open(), id, options));
}

export const prints = (): Prints => [{ view: runView }];

async function cancel(context: Context, id: string, options: CancelOptions): Promise<void> {
  const { output, paths, prompter } = context;
  output.expect(runView);
  const job = await refreshed(context, await loadJob(paths.state, id), true);
  const { id: jobId } = job.facts;
  const platform = await context.platform();
  assertSamePlatform("jobs cancel", job.facts, platform);
  const tally = new JobTally(job.items, { sent: job.sent });
  const [waiting, running] = [tally.count("waiting") + tally.count("starting"), tally.count("running")];
  output.note(`job ${jobId}: ${countsWords(tally)}`);
  if (job.facts.state !== "running" && waiting + running === 0) {
    return output.note("nothing of it is waiting or in progress; nothing was changed");
  }
  if (options.dryRun) {
    return output.note(
      `dry run: ${waiting} waiting would not be started, ${runCount(running)} in progress would be cancelled`,
    );
  }
  const ledger = await context.ledger("cancel", await whyOf(context, options));
  // Without a login it could be called off, but nothing cancelled.
  await context.api();
  const question = `Cancel this job: start none of ${waiting} waiting, and cancel ${runCount(running)} in progress?`;
  await prompter.confirm(question, { yes: options.yes ?? false, platform });
  const journal = await ledger.journal();
  const about = { op: jobId, userId: "", instanceId: null, runId: null };
  await journal.append({ kind: "override", ...about, decision: "cancel-job" });
  await callOff(paths.state, jobId);
  await untilLetGo(context, job);
  const { items } = await readJob(job.file);
  const after = new JobTally(items);
  const ended = new Set(job.items.flatMap(({ state, runId }) => (isDecided(state) && runId !== null ? [runId] : [])));
  const ids = items.flatMap(({ state, runId }) =>
    state === "running" && runId !== null && !ended.has(runId) ? [runId] : [],
  );
  try {
    if (ids.length > 0) await cancelRuns(context, await resolveRuns(await context.api(), ids), options, ledger);
    else output.note("no run of it is in progress");
  } finally {
    sayWhatIsLeft(context, jobId, after);
  }
}

/** How often it is looked whether the job's process has ended. */
const LOOK_MS = 200;

/** Waits until the job's process has brought what was under way to an end. */
async function untilLetGo({ output, paths, stop }: Context, { file }: Job): Promise<void> {
  const path = openPath(paths.state, file.name);
  let progress: { stop(): void } | undefined;
  try {
    for (let holder = await writerOf(path); holder; holder = await writerOf(path)) {
      if (!holder.seen) {
        throw new CliError(
          "conflict",
          `job ${file.id} starts nothing more; whether its process ${holder.pid} on ${holder.host} has ended cannot be seen from here`,
          {
            hint: [
              hint`once it has ended: ${command("jobs cancel", file.id)}`,
              hint`or take the job over: ${takeOverCommand(file.id)}`,
            ],
          },
        );
      }
      progress ??= await output.busy(`waiting for process ${holder.pid}, which works on the job, to end`);
      await wait(LOOK_MS, stop);
    }
  } catch (error) {
    if (!stop.aborted) throw error;
    throw new CliError("interrupted", `job ${file.id} starts nothing more; no run was cancelled`, {
      hint: hint`go on: ${command("jobs cancel", file.id)}`,
      sent: false,
      cause: error,
    });
  } finally {
    progress?.stop();
  }
}

function sayWhatIsLeft({ output }: Context, id: string, tally: JobTally): void {
  const [waiting, unknown] = [tally.count("waiting"), tally.count("unknown")];
  if (waiting > 0) output.note(hint`${waiting} not started; to start them after all: ${command("jobs resume", id)}`);
  if (unknown > 0)
    output.warn(hint`${unknown} with unknown outcome; look for their runs: ${command("runs reconcile")}`);
}
