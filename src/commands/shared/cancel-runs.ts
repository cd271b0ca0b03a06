import type { Command, OptionValues } from "@commander-js/extra-typings";
import { CONCURRENCY, pooled, whileGoing } from "../../async/pool.ts";
import type { Context } from "../../context.ts";
import { CliError, messageOf, type ErrorKind } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { machineDown, type Cancellation } from "../../runs/cancel/cancel.ts";
import { cancelOnRecord } from "../../runs/cancel/on-record.ts";
import { keepOutput, type Kept } from "../../runs/output/kept.ts";
import { runStatusWord, type Run } from "../../runs/run.ts";
import { settleRuns } from "../../runs/settle/settle.ts";
import { command, hint, option } from "../../typed-command.ts";
import { confirmMany, type ConfirmOptions } from "./confirm-many.ts";
import { sayWhatIsOpen } from "./open-operations.ts";
import { runCount, runLines, runLinesWithPrompts, runTook, runView } from "./run-view.ts";
import { whyOf, type WhyOptions } from "./ticket-and-reason.ts";

export interface CancelOptions extends ConfirmOptions, WhyOptions {
  readonly dryRun?: true | undefined;
  readonly force?: true | undefined;
  readonly withoutOutput?: true | undefined;
}

/** The command with the options that let something be lost. */
export function lossOptions<Args extends unknown[], Options extends OptionValues>(command: Command<Args, Options>) {
  return command
    .option("--force", "also where the machine is down, which loses the run's outcome")
    .option("--without-output", "also where the output so far cannot be kept on this machine, and so is lost");
}

/**
 * Cancels runs, on record, and says what became of each: what a command does once it knows which runs are meant.
 *
 * @param confirmed where to write it down, once the user has confirmed it; absent: he is asked here.
 * @throws CliError `partial` where some could not be cancelled; for a single one, why.
 */
export async function cancelRuns(
  context: Context,
  picked: readonly Run[],
  options: CancelOptions,
  confirmed?: Ledger,
): Promise<void> {
  const { output, prompter } = context;
  // What has ended meanwhile needs no confirmation.
  const { runs, machineDown: down } = await settleRuns(await context.api(), picked);
  const ended = runs.filter(({ status }) => status !== "running");
  sayEnded(output, ended);
  const leftAlone = options.force ? [] : down;
  const running = runs.filter((run) => run.status === "running" && !leftAlone.includes(run));
  if (running.length === 0) {
    if (leftAlone.length > 0) throw machineDown(leftAlone);
    return showAsData(context, runs, ended);
  }
  for (const { id } of leftAlone) output.warn(`${id} is left alone: its machine is not running`);
  await output.header(runLinesWithPrompts(running, output.now()), {
    needed: prompter.canAsk && options.yes !== true && !confirmed,
  });
  if (options.dryRun) {
    await showAsData(context, runs, running);
    return output.note(`dry run: ${runCount(running.length)} would be cancelled; no cancel was sent`);
  }
  const ledger = confirmed ?? (await context.ledger("cancel", await whyOf(context, options)));
  await sayWhatIsOpen(context, ledger, running);
  const question = running.length === 1 ? "Cancel this run?" : `Cancel these ${running.length} runs?`;
  if (!confirmed) await confirmMany(context, question, running.length, options);

  const books = { ledger, unrecorded: new Set<string>(), loseOutput: consentToLoss(context, options.withoutOutput) };
  const { results, failures, untouched, refusal, sent } = await cancelAll(
    context,
    running,
    books,
    options.force ?? false,
  );
  await showAsData(context, runs, [...ended, ...results]);
  if (untouched.length > 0) sayUntouched(output, untouched, running.length);
  // That a token is refused says that nothing was sent; where something was, the command is only partly done.
  if (refusal && !sent) throw refusal;
  if (context.stop.aborted) return;
  const failed = failures.length + leftAlone.length;
  const nothingSent = !sent && failures.every(({ kind }) => NOTHING_SENT.has(kind));
  if ((runs.length === 1 || nothingSent) && failures[0]) throw failures[0];
  if (refusal || failed > 0) {
    const explained = refusal && (await context.explained(refusal));
    const notCancelled = `${failed + untouched.length} of ${runCount(runs.length)} could not be cancelled`;
    throw new CliError("partial", explained ? `${notCancelled}: ${messageOf(explained)}` : notCancelled, {
      hint: [
        ...(explained instanceof CliError ? explained.hints : []),
        hint`each is named above; diagnose one: ${command("runs diagnose", "RUN")}`,
      ],
      sent,
      cause: refusal,
    });
  }
}

const NOTHING_SENT: ReadonlySet<ErrorKind> = new Set(["local-state", "interrupted"]);

interface Outcome {
  /** Runs that are known to have ended, cancelled or otherwise. */
  readonly results: Run[];
  readonly failures: CliError[];
  /** Runs to which nothing was sent, because the user wanted out or the platform refused. */
  readonly untouched: Run[];
  /** Why the platform takes no cancel from this user. */
  readonly refusal: CliError | undefined;
  /** A cancel that was not refused may have left. */
  readonly sent: boolean;
}

/** Where the cancels are written down, and why that did not work, if it did not. */
interface Books {
  readonly ledger: Ledger;
  readonly unrecorded: Set<string>;
  /** Asks whether a run may be cancelled although its output is lost; throws if not. */
  readonly loseOutput: (problem: CliError) => Promise<void>;
}

/** Lets the output be lost where the option says so, or whoever sits at the terminal, who is asked once for all runs. */
function consentToLoss(
  { output, prompter, platform }: Pick<Context, "output" | "prompter" | "platform">,
  given: true | undefined,
): Books["loseOutput"] {
  let asked: Promise<void> | undefined;
  return async (problem) => {
    if (!given && !prompter.canAsk) {
      throw new CliError("local-state", `${problem.message}; nothing was sent to it`, {
        hint: [
          "free some space, then try again",
          hint`to cancel anyway and lose the output: add ${option("--without-output", true)}`,
        ],
      });
    }
    output.warn(problem.message);
    if (given) return;
    asked ??= platform().then((platform) =>
      prompter.confirm("Cancel anyway, and lose the output that cannot be kept?", { yes: false, platform }),
    );
    await asked;
  };
}

/**
 * Cancels runs, a few at a time: one machine that hangs must not hold up the others for minutes. Within a run the order
 * stays: its output is kept, then it is cancelled, then it is looked at.
 */
async function cancelAll(context: Context, running: readonly Run[], books: Books, force: boolean): Promise<Outcome> {
  const { output, stop } = context;
  const several = running.length > 1;
  const cancelled = new Map<string, Run>();
  const failures: CliError[] = [];
  const done = new Set<string>();
  let refusal: CliError | undefined;
  let sent = false;
  const progress = await output.busy(several ? `cancelling ${running.length} runs` : `cancelling ${running[0]?.id}`);
  const going = () => !stop.aborted && !refusal;
  const attempt = async (run: Run) => {
    let sending = false;
    try {
      const result = await cancelOne(context, run, books, { force, onSending: () => (sending = true) });
      sent ||= sending;
      done.add(run.id);
      cancelled.set(run.id, result);
    } catch (error) {
      // Stopped before anything was sent.
      if (stop.aborted && (!(error instanceof CliError) || error.kind === "interrupted")) return;
      if (!(error instanceof CliError)) throw error;
      if (error.kind === "auth") {
        refusal ??= error;
        return;
      }
      sent ||= sending;
      done.add(run.id);
      failures.push(error);
      if (several || stop.aborted)
        output.warn(error.message.includes(run.id) ? error.message : `${run.id}: ${error.message}`);
    }
  };
  try {
    for await (const _ of pooled(whileGoing(running, going), CONCURRENCY, attempt)) {
      if (several) progress.show(`cancelled ${cancelled.size} of ${running.length} runs`);
    }
  } finally {
    progress.stop();
  }
  return {
    results: running.flatMap(({ id }) => cancelled.get(id) ?? []),
    failures,
    untouched: running.filter(({ id }) => !done.has(id)),
    refusal,
    sent,
  };
}

async function cancelOne(
  context: Context,
  run: Run,
  { ledger, unrecorded, loseOutput }: Books,
  { force, onSending }: { readonly force: boolean; readonly onSending: () => void },
): Promise<Run> {
  const { output, paths, stop } = context;
  let kept: Kept | undefined;
  const cancelled = await cancelOnRecord(await context.api(), run, ledger, {
    onUnrecorded: (why) => {
      // A journal that is broken stays broken: it is said once.
      if (!unrecorded.has(why)) output.warn(`${why}; cancelling anyway, without a record`);
      unrecorded.add(why);
    },
    keepOutput: async (text) => {
      try {
        if (text !== "") kept = await keepOutput(paths, run.id, text);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        await loseOutput(error);
      }
      onSending();
    },
    force,
    stop,
  });
  sayResult(output, cancelled);
  if (kept?.problem != null) {
    output.warn(`its output is kept in ${kept.path} only, which the system may remove: ${kept.problem}`);
  } else if (kept) output.note(hint`its output is kept in ${kept.path}: ${command("runs logs", run.id)}`);
  return cancelled.run;
}

/** So many runs that had ended already are named; a question is not to stand below a screen of more. */
const MAX_ENDED = 3;

function sayEnded(output: Context["output"], ended: readonly Run[]): void {
  if (ended.length <= MAX_ENDED) {
    for (const run of ended) sayResult(output, { run, alreadyEnded: true });
    return;
  }
  const counts = new Map<string, number>();
  for (const word of ended.map(runStatusWord)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts].map(([word, count]) => `${count} ${word}`);
  output.note(`${runCount(ended.length)} had already ended: ${words.join(", ")}`);
}

function sayResult(output: Context["output"], { run, alreadyEnded }: Cancellation): void {
  const became = run.exitCode === null ? runStatusWord(run) : `${runStatusWord(run)}, exit code ${run.exitCode}`;
  if (alreadyEnded) return output.note(`run ${run.id} had already ended: ${became}`);
  if (run.status === "running") {
    throw new CliError("still-running", `run ${run.id} is still running: the platform did not cancel it`, {
      hint: [
        hint`try again: ${command("runs cancel", run.id)}`,
        hint`or find out what it is doing: ${command("runs diagnose", run.id)}`,
      ],
      retryable: true,
    });
  }
  if (run.status === "cancelled") return output.success(`cancelled run ${run.id} after ${runTook(run, output.now())}`);
  output.note(`run ${run.id} ended before the cancel reached it: ${became}`);
}

/** The runs as data, in the order in which they were named; people have been told line by line. */
async function showAsData({ output }: Context, order: readonly Run[], shown: readonly Run[]): Promise<void> {
  if (output.format === "table") return;
  const indexes = new Map(order.map(({ id }, index) => [id, index]));
  const indexOf = ({ id }: Run) => indexes.get(id) ?? 0;
  await output.list(
    shown.toSorted((a, b) => indexOf(a) - indexOf(b)),
    runView,
    "",
  );
}

function sayUntouched(output: Context["output"], untouched: readonly Run[], total: number): void {
  output.warn(`${untouched.length} of ${runCount(total)} ${untouched.length === 1 ? "was" : "were"} not cancelled:`);
  output.notes(runLines(untouched, output.now()), { needed: true });
}
