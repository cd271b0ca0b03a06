import { Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import type { Context, OpenContext } from "../../context.ts";
import { resolveInstance } from "../../customers/find.ts";
import { CliError, type ErrorKind } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { recordedStart } from "../../journal/recorded-start.ts";
import { listRuns } from "../../runs/list.ts";
import type { Run } from "../../runs/run.ts";
import { settleRuns } from "../../runs/settle/settle.ts";
import { checkPrompt } from "../../runs/start/prompt.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command as typed, hint } from "../../typed-command.ts";
import { findRuns } from "../shared/find-runs.ts";
import { startOptions } from "../shared/job/options.ts";
import { examples, intervalOption, once, userOption, yesOption } from "../shared/options.ts";
import { assertNoneRequired } from "../shared/playbook.ts";
import { runView } from "../shared/run-view.ts";
import { whyOf, whyOptions } from "../shared/ticket-and-reason.ts";
import { assertForOne, dryRun, prepare, sendStart, type ForOne, type SendOptions } from "./start/send.ts";

interface RetryOptions extends SendOptions {
  readonly user?: string | undefined;
  readonly prompt?: string | undefined;
  readonly again?: true | undefined;
  readonly dryRun?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  const retry = command
    .argument("<runs...>", "run IDs, unique prefixes, or @latest with --user")
    .addOption(userOption())
    .addOption(new Option("-p, --prompt <text>", "ask for this instead of the run's own prompt").argParser(once))
    .option("--again", "also where the instance has a newer run of this prompt")
    .option("-w, --watch", "follow the run to its end, and exit with its result")
    .addOption(intervalOption());
  whyOptions(startOptions(retry))
    .addOption(yesOption())
    .option("-n, --dry-run", "show what would be started, and send nothing")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin runs retry 3f2a91c4 --watch",
        "kiloclaw-admin runs retry 3f2a91c4 -p 'the disk was full; try again' --ticket INC-42",
        "kiloclaw-admin runs retry 3f2a91c4 77b0e1d2",
      ) +
        "\n\nStarts a new run on the same instance with the same prompt: a start of its own, with all of its safety. `runs show`\n" +
        "shows which run is a retry of which. The failed targets of a job: jobs retry-failed",
    )
    .action(async (ids, options) => retryRuns(await open(), ids, options));
}

export const prints = (): Prints => [{ view: runView }, { when: "--watch", events: "watch-event" }];

async function retryRuns(context: Context, ids: readonly string[], options: RetryOptions): Promise<void> {
  const { output } = context;
  output.expect(runView);
  assertForOne(context, options);
  const prompt = options.prompt === undefined ? undefined : checkPrompt(options.prompt);
  if (prompt !== undefined) {
    await assertNoneRequired(context, [
      hint`retry with the prompt on record: ${typed("runs retry", ...ids, { "--user": options.user })}`,
      hint`or start with a playbook: ${typed("runs start", { "--user": "USER", "--playbook": "NAME" })}`,
    ]);
  }
  if (ids.length > 1 && ["json", "csv"].includes(output.format)) {
    throw new CliError("usage", `several runs are started one after the other: use -o jsonl, not ${output.format}`);
  }
  if (ids.length > 1 && (options.watch || options.onConflict === "attach")) {
    throw new CliError("usage", "--watch and --on-conflict attach are for one run", {
      hint: hint`follow what was started: ${typed("runs watch", { "--mine": true })}`,
    });
  }
  const api = await context.api();
  const [found] = await Promise.all([
    findRuns(context, api, ids, { user: options.user, inProgress: true }),
    prepare(context, options),
  ]);
  const runs = [...new Map(found.map((run) => [run.id, run])).values()];
  let opened: Promise<Ledger> | undefined;
  const ledger = () => (opened ??= whyOf(context, options).then((why) => context.ledger("start", why)));
  // Of several, none is followed: a run in the way is named.
  const { onConflict = runs.length > 1 ? "fail" : undefined } = options;
  const retry = (run: Run) => retryRun(context, run, { ...options, onConflict, checked: prompt, ledger });
  const [only] = runs;
  if (only && runs.length === 1) return retry(only);
  await retryEach(context, runs, retry);
}

/** What keeps every other start from being sent, too. */
const ENDS_ALL: readonly ErrorKind[] = ["auth", "local-state"];

/**
 * Retries one run after the other. What goes wrong with one is said as it is, and ends the command only where the others would
 * meet the same.
 *
 * @throws CliError `outcome-unknown` where a start may have happened, else `partial` where one was sent, else what ended it.
 */
async function retryEach(
  { output, stop }: Pick<Context, "output" | "stop">,
  runs: readonly Run[],
  retry: (run: Run) => Promise<void>,
): Promise<void> {
  const failures: CliError[] = [];
  let started = 0;
  for (const run of runs) {
    stop.throwIfAborted();
    try {
      await retry(run);
      started += 1;
    } catch (error) {
      if (stop.aborted || !(error instanceof CliError)) throw error;
      failures.push(error);
      output.warn(`retry of run ${run.id}: ${error.message}`);
      if (ENDS_ALL.includes(error.kind)) break;
    }
  }
  const last = failures.at(-1);
  if (!last) return;
  const unknown = failures.some(({ kind }) => kind === "outcome-unknown");
  // A start that was refused for its token did nothing, though it was sent.
  const sent = started > 0 || failures.some((failure) => failure.sent && !ENDS_ALL.includes(failure.kind));
  if (!unknown && !sent && ENDS_ALL.includes(last.kind)) throw last;
  const untried = runs.length - started - failures.length;
  const counts = [`${started} of ${runs.length} runs retried`, ...(untried > 0 ? [`${untried} not tried`] : [])];
  throw new CliError(unknown ? "outcome-unknown" : "partial", counts.join(", "), {
    hint: failures.flatMap(({ hints }) => hints),
    sent,
  });
}

interface RetryOne extends Omit<RetryOptions, "onConflict">, ForOne {
  /** What to ask for instead of the run's own prompt. */
  readonly checked: string | undefined;
  /** Opened when it is certain that something is sent. */
  readonly ledger: () => Promise<Ledger>;
}

async function retryRun(context: Context, found: Run, { checked, ledger, ...options }: RetryOne): Promise<void> {
  const { output, prompter } = context;
  const api = await context.api();
  const run = await endedRun(api, found);
  const { instanceId } = run;
  if (instanceId === null) {
    throw new CliError("not-found", `run ${run.id} has no instance on record; nothing was sent`, {
      hint: hint`start one: ${typed("runs start", { "--user": run.userId })}`,
    });
  }
  if (run.outcomeUnknown) output.note(`the outcome of run ${run.id} was lost: it may have done its work`);
  const prompt = checked ?? checkPrompt(run.prompt);
  const who = run.userEmail ?? run.userId;
  const newer = await newerRun(api, run, instanceId, prompt);
  if (newer) {
    const what = `run ${newer.id} (${newer.status}) was started later with the same prompt`;
    if (!options.again && !prompter.canAsk) {
      throw new CliError("conflict", `${what}; nothing was sent`, {
        hint: [hint`see it: ${typed("runs show", newer.id)}`, "to start another one anyway, add --again"],
        sent: false,
      });
    }
    if (!options.again) await prompter.confirm(`${what}. Start another one?`, { yes: false, plain: true });
  }
  const subject = { userId: run.userId, email: run.userEmail, instance: undefined };
  const instance = await resolveInstance(api, subject, instanceId, { named: who });
  if (options.dryRun) return dryRun(context, who, instance, prompt);
  const platform = await context.platform();
  if (platform.confirm === "always") {
    const question = `Retry run ${run.id} on instance ${instanceId} of ${who}?`;
    await prompter.confirm(question, { yes: options.yes ?? false, platform });
  }
  const admin = await context.me();
  // The same prompt comes from where it came from.
  const { playbook } = checked === undefined ? await recordedStart(context.paths.state, run) : { playbook: null };
  const about = { retryOf: run.id, playbook: playbook ?? undefined };
  const request = { userId: run.userId, userEmail: run.userEmail, instance, prompt, admin, ...about };
  await sendStart(context, request, await ledger(), options);
}

/** The run as it is now. One in progress is not retried. */
async function endedRun(api: Api, found: Run): Promise<Run> {
  const { runs, unstorable, machineDown } = await settleRuns(api, [found]);
  const [run = found] = runs;
  if (run.status !== "running" || unstorable.length > 0 || machineDown.length > 0) return run;
  throw new CliError("conflict", `run ${run.id} is still in progress; nothing was sent`, {
    hint: [hint`follow it: ${typed("runs watch", run.id)}`, hint`or stop it first: ${typed("runs cancel", run.id)}`],
    sent: false,
  });
}

/** The newest run of this prompt that came after `run` on its instance. */
async function newerRun(api: Api, run: Run, instanceId: string, prompt: string): Promise<Run | undefined> {
  for await (const other of listRuns(api, { instanceId }, Number.MAX_SAFE_INTEGER)) {
    if (other.id === run.id || other.startedAt < run.startedAt) return undefined;
    if (other.prompt === prompt) return other;
  }
  return undefined;
}
