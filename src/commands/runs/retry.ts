import { Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import type { Context, OpenContext } from "../../context.ts";
import { getInstance } from "../../customers/instances.ts";
import { CliError, messageOf } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { listRuns } from "../../runs/list.ts";
import type { Run } from "../../runs/run.ts";
import { settleRuns } from "../../runs/settle/settle.ts";
import { checkPrompt } from "../../runs/start/prompt.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command as typed, hint } from "../../typed-command.ts";
import { findRuns } from "../shared/find-runs.ts";
import { startOptions } from "../shared/job/options.ts";
import { examples, intervalOption, once, userOption, yesOption } from "../shared/options.ts";
import { whyOf, whyOptions } from "../shared/ticket-and-reason.ts";
import { runView } from "./shared/view.ts";
import { assertForOne, dryRun, prepare, sendStart, type ForOne, type SendOptions } from "./start/one.ts";

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
        "names the run that a run repeats, and those that repeat it. The failed targets of a job: jobs retry-failed",
    )
    .action(async (ids, options) => retryRuns(await open(), ids, options));
}

export const prints = (): Prints => [{ view: runView }, { when: "--watch", events: "watch-event" }];

async function retryRuns(context: Context, ids: readonly string[], options: RetryOptions): Promise<void> {
  const { output } = context;
  output.expect(runView);
  assertForOne(context, options);
  const prompt = options.prompt === undefined ? undefined : checkPrompt(options.prompt);
  if (ids.length > 1 && ["json", "csv"].includes(output.format)) {
    throw new CliError("usage", `several runs are started one after the other: use -o jsonl, not ${output.format}`);
  }
  if (options.watch && ids.length > 1) {
    throw new CliError("usage", "--watch is for one run", {
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
  const retry = (run: Run) => retryRun(context, run, { ...options, checked: prompt, ledger });
  const [only] = runs;
  if (only && runs.length === 1) return retry(only);

  let failed = 0;
  for (const run of runs) {
    try {
      await retry(run);
    } catch (error) {
      if (context.stop.aborted || !(error instanceof CliError) || error.kind === "auth") throw error;
      failed += 1;
      output.warn(`run ${run.id} was not retried: ${messageOf(error)}`);
    }
  }
  if (failed > 0) {
    throw new CliError("partial", `${failed} of ${runs.length} runs were not retried`, {
      hint: "each is named above; retry one to see what to do",
    });
  }
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
    const what = `run ${newer.id}, ${newer.status}, asked for the same after run ${run.id}`;
    if (!options.again && !prompter.canAsk) {
      throw new CliError("conflict", `${what}; nothing was sent`, {
        hint: [hint`see it: ${typed("runs show", newer.id)}`, "to start another one anyway, add --again"],
        sent: false,
      });
    }
    if (!options.again) await prompter.confirm(`${what}. Start another one?`, { yes: false, plain: true });
  }
  const instance = await getInstance(api, instanceId);
  if (options.dryRun) return dryRun(context, who, instance, prompt);
  const platform = await context.platform();
  if (platform.confirm === "always") {
    const question = `Retry run ${run.id} on instance ${instanceId} of ${who}?`;
    await prompter.confirm(question, { yes: options.yes ?? false, platform });
  }
  const admin = await context.me();
  const request = { userId: run.userId, userEmail: run.userEmail, instance, prompt, admin, retryOf: run.id };
  await sendStart(context, request, await ledger(), options);
}

/** The run as it is now. One that goes on is not repeated. */
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
