import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Command } from "@commander-js/extra-typings";
import { Adopter } from "../../bulk/execute/adoption.ts";
import { PromptTemplate } from "../../bulk/input/prompt-template.ts";
import type { Sendable } from "../../bulk/item.ts";
import { isCalledOff, takeUpAgain } from "../../bulk/job/called-off.ts";
import { assemble, findJob, jobRecord, type Job } from "../../bulk/job/job.ts";
import { JobRecords } from "../../bulk/job/records.ts";
import { canaryLeft, reconcileItems } from "../../bulk/job/resume.ts";
import { fromRecorded } from "../../bulk/job/settings.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { writerOf } from "../../journal/claim.ts";
import { openPath } from "../../journal/folder.ts";
import type { Ledger } from "../../journal/ledger.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { jobOptions, jobSettings, settingsWords, startOptions, type JobOptions } from "../shared/job/options.ts";
import { doJob, stoppedError } from "../shared/job/run.ts";
import { JobTally } from "../shared/job/tally.ts";
import { itemView, jobArgument } from "../shared/job/view.ts";
import { examples, yesOption } from "../shared/options.ts";
import { confirmSetAside } from "../shared/set-aside.ts";
import { whyOf, whyOptions, type WhyOptions } from "../shared/ticket-and-reason.ts";
import { unlessStartedSinceOf, unlessStartedSinceOption } from "../shared/when.ts";
import { assertSamePlatform } from "./shared/same-platform.ts";

interface ResumeOptions extends JobOptions, WhyOptions {
  readonly asPlanned?: true | undefined;
  readonly adopt?: readonly string[] | undefined;
  readonly takeOver?: true | undefined;
  readonly yes?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  const job = startOptions(jobOptions(command.argument("<job>", jobArgument)))
    .addOption(unlessStartedSinceOption())
    .option("--as-planned", "continue with the targets as planned, although the file has changed")
    .option("--adopt <runs...>", "take these runs for starts of the job where several could be it")
    .option("--take-over", "take the job over from a process that cannot be seen here, once it has certainly ended");
  whyOptions(job)
    .addOption(yesOption())
    .addHelpText(
      "after",
      examples("kiloclaw-admin jobs resume @latest", "kiloclaw-admin jobs resume 7c1e9a52 --concurrency 4 --wait") +
        "\n\nLooks for the runs of starts that were interrupted, starts the targets that are waiting, and follows what is in" +
        "\nprogress. Never sends a second start to a target unless --resend-unknown says so. Options that are not given keep" +
        "\ntheir values; errors are counted anew.",
    )
    .action(async (id, options) => resume(await open(), id, options));
}

export const prints = (): Prints => [{ view: itemView }, { when: "-o jsonl", events: "job-event" }];

async function resume(context: Context, id: string, options: ResumeOptions): Promise<void> {
  const { output, paths, host, prompter } = context;
  output.expect(itemView);
  const file = await findJob(paths.state, id);
  const record = await jobRecord(file);
  const { ticket, reason } = record;
  const platform = await context.platform();
  assertSamePlatform("jobs resume", { ...record, id: file.id }, platform);
  const usual = jobSettings(options, host.stdout.isTTY === true, fromRecorded(record.settings));
  const why = await whyOf(context, {
    ticket: options.ticket ?? ticket ?? undefined,
    reason: options.reason ?? reason ?? undefined,
  });
  if (options.resendUnknown || platform.confirm === "always") {
    const resend = options.resendUnknown ? ", and send starts again where the outcome of the first is unknown" : "";
    await prompter.confirm(`Resume job ${file.id}${resend}?`, { yes: options.yes ?? false, platform });
  }
  // Before the journal is taken up: without a login nothing is to be done with it.
  await context.api();
  const since = await unlessStartedSinceOf(context, options.unlessStartedSince);
  const records = new JobRecords();
  const holder = options.takeOver ? await writerOf(openPath(paths.state, file.name)) : null;
  // One that is seen alive is never set aside.
  const setAside = holder?.seen === false ? holder : undefined;
  if (setAside) await confirmSetAside(context, setAside, { yes: options.yes, reason: why.reason });
  const ledger = await context.ledger("start", why, { file, onRecord: records.note, setAside });
  const journal = await ledger.journal();
  if (journal.torn)
    output.note(`the end of its journal was torn by a crash; what was cut off is kept in ${journal.torn.keptIn}`);
  if (await isCalledOff(paths.state, file.id)) {
    const about = { op: journal.id, userId: "", instanceId: null, runId: null };
    await journal.append({ kind: "override", ...about, decision: "resume-cancelled" });
    await takeUpAgain(paths.state, file.id);
    output.note(`job ${file.id} was cancelled; it goes on now`);
  }
  const job = await assemble(paths.state, file, records, true);
  if (job.mark.handedOver) {
    output.note(
      "the job was exported or imported: whichever admin has started a target since it began, that run is taken",
    );
  } else if (!options.asPlanned) await refuseIfChanged(context, job);
  const template = new PromptTemplate(job.plan.prompt);
  const before = new JobTally(job.items, { sent: job.sent });
  try {
    if (options.adopt) await adopt(context, ledger, { ...job, template }, options.adopt);
    await reconcile(context, ledger, job, options);
  } catch (error) {
    throw await stoppedError(context, file.id, before, error);
  }
  const settings = {
    ...usual,
    canary: canaryLeft(job.items, job.settings.canary),
    unlessStartedSince: startedSince(job, since ?? usual.unlessStartedSince),
  };
  const left = job.items.filter(({ state }) => state === "waiting" || state === "running").length;
  output.note(
    left === 0 ? `nothing is left to do in job ${file.id}` : `job ${file.id}: ${left} of ${job.items.length} left`,
  );
  output.note(settingsWords(settings));
  const { items, mark } = job;
  await doJob(context, ledger, { id: file.id, items, template, settings, mark, sent: before.sent }, options);
}

/** Since when a run of a target's prompt is taken for its start, if it was not to be started anew. */
function startedSince({ mark }: Job, asked: Date | string | null): string | null {
  const since = asked === null ? null : new Date(asked);
  // Whoever has the job as well may be at it in this moment.
  if (mark.handedOver && (since === null || mark.since < since)) return mark.since.toISOString();
  return since?.toISOString() ?? null;
}

/** The targets are those of the plan, whatever the file says: somebody who changed it may think otherwise. */
async function refuseIfChanged({ output }: Pick<Context, "output">, { plan: { source }, facts }: Job): Promise<void> {
  if (source.kind !== "file" || source.path === null) return;
  const bytes = await readFile(source.path).catch(() => undefined);
  if (!bytes) return output.note(`${source.path} no longer exists; continuing with the targets as planned`);
  if (createHash("sha256").update(bytes).digest("hex") === source.sha256) return;
  throw new CliError("usage", `${source.path} has changed since the job was planned; nothing was sent`, {
    hint: [
      hint`to continue with the targets as planned: ${command("jobs resume", facts.id, { "--as-planned": true })}`,
      hint`or start a new job with the file as it is: ${command("runs start", { "--users-file": source.path })}`,
    ],
  });
}

async function adopt(
  { api, me, output }: Pick<Context, "api" | "me" | "output">,
  ledger: Ledger,
  { items, mark, template }: Job & { readonly template: PromptTemplate },
  runs: readonly string[],
): Promise<void> {
  const prompt = (target: Sendable) => template.render(target);
  const adopter = new Adopter(ledger, mark, (await me()).userId);
  for (const { target, runId } of await adopter.adopt(await api(), runs, items, prompt)) {
    output.note(`${target.userEmail ?? target.named}: adopted as this job's run: ${runId}`);
  }
}

async function reconcile(
  { api, output, stop }: Pick<Context, "api" | "output" | "stop">,
  ledger: Ledger,
  { items }: Job,
  { resendUnknown }: ResumeOptions,
): Promise<void> {
  const progress = await output.busy("looking for the runs of starts that were under way");
  try {
    for await (const { target, runId, problem } of reconcileItems(await api(), ledger, items, { stop })) {
      const who = target.userEmail ?? target.named;
      if (problem === null) output.note(`${who}: the run had started, it was found by its row: ${runId}`);
      else output.warn(`${who}: ${problem}`);
    }
  } finally {
    progress.stop();
  }
  stop.throwIfAborted();
  if (!resendUnknown) return;
  for (const [index, item] of items.entries())
    if (item.state === "unknown") items[index] = { ...item, state: "waiting" };
}
