import { execute } from "../../../bulk/execute/execution.ts";
import type { PromptTemplate } from "../../../bulk/input/prompt-template.ts";
import { isSendable, planned, type Item, type Sendable, type Target } from "../../../bulk/item.ts";
import { isCalledOff } from "../../../bulk/job/called-off.ts";
import { Results, writePlan, type PlanHeader, type StoredShard } from "../../../bulk/job/files.ts";
import { markOf, type JobMark } from "../../../bulk/job/records.ts";
import { toRecorded, type JobSettings } from "../../../bulk/job/settings.ts";
import type { Context } from "../../../context.ts";
import { CliError, messageOf, type ErrorKind } from "../../../errors.ts";
import type { Ledger } from "../../../journal/ledger.ts";
import { command, hint, plain } from "../../../typed-command.ts";
import { confirmMany, type ConfirmOptions } from "../confirm-many.ts";
import { keepUnstorable } from "../keep-unstorable.ts";
import { OnEnd } from "../on-end.ts";
import { whyOf, type WhyOptions } from "../ticket-and-reason.ts";
import { settingsWords, type JobOptions } from "./options.ts";
import { summarizePlan } from "./plan-view.ts";
import { countsWords, openScreen } from "./screen.ts";
import { JobTally } from "./tally.ts";

export type BeginOptions = JobOptions & WhyOptions & ConfirmOptions;

/** What a job is to be made of. */
export interface NewJob {
  readonly targets: readonly Target[];
  readonly template: PromptTemplate;
  readonly source: PlanHeader["source"];
  readonly shard?: StoredShard | undefined;
}

/**
 * Begins a job: shows what will happen, has it confirmed, writes it down, and does it.
 *
 * @throws CliError `usage`, `interrupted`; what {@link doJob} throws.
 */
export async function beginJob(
  context: Context,
  { targets, template, source, shard }: NewJob,
  settings: JobSettings,
  options: BeginOptions,
): Promise<void> {
  const { output, paths, prompter } = context;
  const sendable = targets.filter(isSendable).length;
  summarizePlan(output, targets, template, { needed: prompter.canAsk && options.yes !== true });
  // A slice is on record all the same: what joins the slices would miss it.
  if (sendable === 0 && !shard) {
    throw new CliError("partial", `none of ${targets.length} targets can be started; nothing was sent`, {
      hint: "see why, one by one: the same command with --dry-run",
    });
  }
  output.note(settingsWords(settings));
  if (sendable > 0) {
    await confirmMany(context, `Start ${sendable === 1 ? "1 run" : `${sendable} runs`}?`, sendable, {
      ...options,
      what: "target",
      inAll: shard?.entries,
    });
  }

  const ledger = await context.ledger("start", await whyOf(context, options, settings.playbook));
  const journal = await ledger.journal();
  // Another line of the same instance is not another target.
  const own = targets
    .filter((target) => target.planned !== "duplicate")
    .map((target, at) => (target.index === at + 1 ? target : { ...target, index: at + 1 }));
  const plan = await writePlan(paths.state, journal.id, { prompt: template.text, source, shard, targets: own });
  // Planning has asked the platform already.
  const platformAt = (await context.api()).clock.now()?.toISOString();
  const { at } = await journal.append({
    kind: "job",
    total: own.length,
    settings: { ...toRecorded(settings), plan },
    platformAt,
  });
  output.note(`job ${journal.id}`);
  const mark = markOf(journal.id, { at, platformAt });
  await doJob(context, ledger, { id: journal.id, items: own.map(planned), template, settings, mark }, options);
}

export interface JobAtHand {
  readonly id: string;
  /** One for each target, in the plan's order. */
  readonly items: Item[];
  readonly template: PromptTemplate;
  readonly settings: JobSettings;
  readonly mark: JobMark;
  /** A start had left for one of them before. */
  readonly sent?: boolean;
}

/**
 * Does a job, or what is left of it, and shows it. What became of each target is kept as it becomes known.
 *
 * @throws CliError `partial` when there are targets that somebody has to look at, `still-running` when runs go on at a time
 *   limit; what `execute` throws, which is `partial` or `outcome-unknown` once the job has sent anything.
 */
export async function doJob(
  context: Context,
  ledger: Ledger,
  { id, items, template, settings, mark, sent = false }: JobAtHand,
  options: JobOptions,
): Promise<void> {
  const { output, paths, prompter, stop, closed } = context;
  const prompt = (target: Sendable) => template.render(target);
  const tally = new JobTally(items, { sent });
  const [api, admin, onEnd, results] = await Promise.all([
    context.api(),
    context.me(),
    OnEnd.of(context, options.onEnd),
    Results.open(paths.state, id),
    // Once something was sent, an upgrade may replace the files.
    output.prepare(),
    options.canaryPause ? prompter.prepare() : undefined,
  ]).catch(async (error: unknown) => {
    throw await stoppedError(context, id, tally, error);
  });
  const screen = await openScreen(context, { id, tally, items });
  const unrecorded = new Set<string>();
  const letFollow = options.canaryPause
    ? async () => {
        output.note(`the canary's runs have completed: ${countsWords(tally)}`);
        return prompter.offer("Start the others?", { platform: await context.platform() });
      }
    : undefined;
  try {
    for await (const event of execute(api, ledger, items, {
      settings,
      mark,
      admin,
      prompt,
      // With its reader gone, a job starts nothing more.
      stop: AbortSignal.any([stop, closed]),
      timeoutMs: options.jobTimeout ?? null,
      isCalledOff: () => isCalledOff(paths.state, id),
      resendUnknown: options.resendUnknown ?? false,
      unlessStartedSince: settings.unlessStartedSince === null ? undefined : new Date(settings.unlessStartedSince),
      letFollow,
      onUnstorable: (polled) => keepUnstorable(context, polled),
    })) {
      tally.see(event);
      if (event.type === "item" && isKept(event.item)) results.add(event.item);
      if (event.type === "run-end" && onEnd && isSendable(event.item.target)) {
        const { run, state } = event.watched;
        onEnd.run({ run: { ...run, prompt: prompt(event.item.target) }, state });
      }
      // A journal that is broken stays broken: it is said once.
      if (event.type === "unrecorded" && !unrecorded.has(event.why)) output.warn(event.why);
      if (event.type === "unrecorded") unrecorded.add(event.why);
      if (event.type === "adopted") output.note(adoptedWords(event.item));
      screen.show(event);
    }
  } catch (error) {
    throw await stoppedError(context, id, tally, error);
  } finally {
    await screen.end(items);
    await onEnd?.drained();
    await results.close().catch((error: unknown) => output.warn(messageOf(error)));
    sayOutcome(context, id, tally);
  }
  if (stop.aborted) return;
  throwIfOpen(output, id, tally, settings);
}

/** That a run was there already; to be looked at by whoever knows how this machine's journal came to forget it. */
function adoptedWords({ target, runId }: Item): string {
  const who = target.userEmail ?? target.named;
  return `${who}: this job had started the run already, which is not in its journal; nothing was sent now: ${runId}`;
}

/**
 * Why a job has stopped before its end. That the token is refused, the platform is out of reach or the disk is full says of a single
 * call that nothing was sent; of a job that has sent something it must not.
 */
export async function stoppedError(
  context: Pick<Context, "explained">,
  id: string,
  tally: JobTally,
  error: unknown,
): Promise<unknown> {
  if (!tally.sent || !(error instanceof CliError) || !PROMISES_NOTHING_SENT.includes(error.kind)) return error;
  const explained = await context.explained(error);
  const hints = explained instanceof CliError ? explained.hints : error.hints;
  const kind = tally.count("unknown") > 0 ? "outcome-unknown" : "partial";
  return new CliError(kind, `job ${id} has stopped before its end: ${messageOf(explained)}`, {
    hint: [...hints, hint`then resume it: ${command("jobs resume", id)}`],
    retryable: true,
    sent: true,
    cause: error,
  });
}

const PROMISES_NOTHING_SENT: readonly ErrorKind[] = ["auth", "unreachable", "local-state"];

/** A target that is waiting or starting is not kept: a resumed job begins it again. */
function isKept({ state }: Item): boolean {
  return state !== "waiting" && state !== "starting";
}

/** Says what a job came to, and what to do next. */
export function sayOutcome({ output }: Pick<Context, "output">, id: string, tally: JobTally): void {
  const waiting = tally.count("waiting");
  const running = tally.count("running");
  const ok = tally.decided === tally.total && tally.count("completed") + tally.count("skipped") === tally.total;
  output.headline(ok ? "green" : "yellow", ok ? "✓" : "■", `job ${id}: ${countsWords(tally)}`);
  for (const { signature, count } of tally.groups(5)) output.note(`  ${count} × ${signature}`);
  if (tally.stopping !== undefined) output.note(`nothing more was started: ${tally.stopping}`);
  if (waiting > 0 || running > 0 || tally.count("unknown") > 0) {
    output.note(hint`${plain(leftWords(tally))}: ${command("jobs resume", id)}`);
  }
  if (tally.count("machine-down") > 0) {
    output.note(hint`start a stopped machine, on its page: ${command("instances open", "INSTANCE")}`);
  }
  if (tally.count("failed") + tally.count("refused") + tally.count("machine-down") > 0) {
    output.note(hint`once the cause is fixed: ${command("jobs retry-failed", id)}`);
  }
  output.note(hint`full report: ${command("jobs report", id)}`);
}

function leftWords(tally: JobTally): string {
  const parts = [
    ...(tally.count("waiting") > 0 ? [`start the ${tally.count("waiting")} waiting`] : []),
    ...(tally.count("unknown") > 0 ? [`look for ${tally.count("unknown")} with unknown outcome`] : []),
    ...(tally.count("running") > 0 ? [`follow ${tally.count("running")} in progress`] : []),
  ];
  return `to ${parts.join(", and ")}`;
}

/** Ends the command with what the job came to. A run that was skipped as it was in progress already is as it was asked for. */
export function throwIfOpen(output: Context["output"], id: string, tally: JobTally, { wait }: JobSettings): void {
  const running = tally.count("running");
  const open = tally.total - tally.count("completed") - tally.count("skipped") - running;
  const kind = open > 0 ? "partial" : running > 0 && wait ? "still-running" : undefined;
  if (kind === undefined) return;
  // A person has just read it.
  const silent = output.format === "table";
  throw new CliError(kind, `job ${id}: ${countsWords(tally)}`, {
    hint: hint`see each target's outcome: ${command("jobs report", id)}`,
    silent,
    retryable: true,
  });
}
