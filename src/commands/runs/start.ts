import { setImmediate } from "node:timers/promises";
import { Option, type Command } from "@commander-js/extra-typings";
import type { Context } from "../../context.ts";
import { UPSTREAM_CODES } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import { getInstance, type Instance } from "../../runs/instances.ts";
import { resolveInstance, resolveUser } from "../../runs/resolve.ts";
import { initiator, type Run } from "../../runs/run.ts";
import { startRun, type StartOutcome } from "../../runs/start.ts";
import { formatAgo } from "../../terminal/time.ts";
import { examples, instanceOption, intervalOption, once, timeoutOption, userOption, yesOption } from "../options.ts";
import { exitWithResult, followRun, type FollowOptions } from "./follow.ts";
import { readPrompt, type PromptSources } from "./read-prompt.ts";
import { promptLine, runView } from "./view.ts";

interface StartOptions extends FollowOptions, PromptSources {
  readonly user: string;
  readonly instance?: string | undefined;
  readonly watch?: true | undefined;
  readonly yes?: true | undefined;
  readonly dryRun?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .argument("[source]", "- reads the prompt from standard input")
    .addOption(userOption().makeOptionMandatory())
    .addOption(instanceOption())
    .addOption(new Option("-p, --prompt <text>", "what to repair, up to 10,000 characters").argParser(once))
    .addOption(new Option("--prompt-file <file>", "read the prompt from a file").argParser(once))
    .option("-w, --watch", "follow the run to its end, and exit with its result")
    .addOption(intervalOption())
    .addOption(timeoutOption())
    .addOption(yesOption())
    .option("-n, --dry-run", "show what would be started, and send nothing")
    .addHelpText(
      "after",
      examples(
        'kiloclaw-admin runs start --user jane@example.com -p "gateway crash-loops since the config edit" --watch',
        "kiloclaw-admin runs start --user jane@example.com --prompt-file incident-42.txt",
        'for u in $(cat stuck.txt); do kiloclaw-admin runs start --user "$u" -p "$PROMPT" -q; done',
      ) + "\n\nPrints the run's ID. A start is sent at most once; see: kiloclaw-admin help safety",
    )
    .action(async (source, options) => start(await open(), { ...options, source }));
}

async function start(context: Context, options: StartOptions): Promise<void> {
  const { output, prompter, stop } = context;
  output.expect(runView);
  if (options.watch && output.format === "csv") {
    throw new CliError("usage", "--watch shows a stream of events, which CSV has no form for: use -o jsonl");
  }
  const prompt = await readPrompt(context, options);
  const api = await context.api();
  const [subject, me] = await Promise.all([resolveUser(api, options.user), context.me()]);
  const instance = await resolveInstance(api, subject, options.instance);
  const who = subject.email ?? subject.userId;
  if (options.dryRun) return dryRun(context, who, instance, prompt);
  const place = await context.target();
  if (place.confirm === "always") {
    const question = `Start a recovery run on instance ${instance.id} of ${who}?`;
    await prompter.confirm(question, { yes: options.yes ?? false, place });
  }

  const progress = await output.busy(`starting a recovery run for ${who}`);
  const outcome = await startRun(
    api,
    { userId: subject.userId, userEmail: subject.email, instance, prompt, admin: me },
    {
      stop,
      onSearching: (error) => {
        output.warn(`${error.message}; that does not say whether the run started`);
        progress.show("looking for the run");
      },
    },
  ).finally(() => progress.stop());
  const run = startedOrThrow(outcome, who, prompt);

  // Once it exists, its ID must reach the user whatever comes next.
  if (output.format === "table") {
    if (outcome.state === "started" && !outcome.answered) output.note("the run had started; it was found by its row");
    // On both streams: one of them may go nowhere.
    output.success(`started recovery run ${run.id} on instance ${instance.id} of ${who}`);
    output.line(run.id);
    if (!options.watch) output.note(`follow it: kiloclaw-admin runs watch ${run.id}`);
  } else if (!options.watch || output.format === "id") {
    await output.item(run, runView);
  } else {
    output.event({ type: "start", runId: run.id, at: new Date(), run });
  }
  // A stream says only afterwards that it could not be written.
  await setImmediate();
  if (context.closed.aborted) output.warn(`standard output is closed; the run that was started: ${run.id}`);
  if (!options.watch) return;
  const ended = await followRun(context, run, options);
  if (ended) exitWithResult(ended);
}

async function dryRun(
  { api, output }: Pick<Context, "api" | "output">,
  who: string,
  instance: Instance,
  prompt: string,
) {
  const { machineStatus } = await getInstance(await api(), instance.id);
  output.notes([
    { label: "would start on", value: instance.id },
    { label: "of", value: who },
    { label: "machine", value: machineStatus ?? "unknown", color: machineStatus === "running" ? "green" : "red" },
    { label: "prompt", value: `${prompt.length} characters: ${prompt.replaceAll(/\s+/g, " ").slice(0, 200)}` },
  ]);
  output.note("dry run: nothing was sent");
}

/** The started run, or the error that says exactly as much as can be known. */
function startedOrThrow(outcome: StartOutcome, who: string, prompt: string): Run {
  const look = [`see what there is: kiloclaw-admin runs list --user ${who}`];
  switch (outcome.state) {
    case "started":
      return outcome.run;
    case "machine-down":
      throw new CliError(
        "conflict",
        `the instance of ${who} is not running (${outcome.machineStatus ?? "no machine"}); nothing was started`,
        {
          hint: "start the machine first",
          retryable: true,
        },
      );
    case "refused":
      throw outcome.error.upstreamCode === UPSTREAM_CODES.routeUnavailable
        ? new CliError("conflict", `${outcome.error.message} (the instance of ${who}); nothing was started`, {
            hint: "the controller on its machine is too old: redeploy the instance, then start again",
          })
        : outcome.error;
    case "conflict":
      throw conflict(outcome.inTheWay, outcome.sent, prompt);
    case "possible-orphan":
      throw new CliError(
        "outcome-unknown",
        `the machine of ${who} is busy with a run that no row records; it may be ours, started by the request just sent`,
        {
          hint: [
            "it cannot be watched or cancelled from here and ends by itself; do not start another one before",
            ...look,
          ],
        },
      );
    case "unknown":
      throw new CliError(
        "outcome-unknown",
        `no record of the run was found for ${who}; that is not proof that it did not start (${outcome.error.message})`,
        { hint: ["look again before you start another one", ...look] },
      );
    case "alarm":
      throw new CliError(
        "outcome-unknown",
        `${outcome.runs.length} runs match the one request that was sent for ${who}`,
        {
          hint: [
            "nothing was cancelled; look at each",
            ...outcome.runs.map(({ id }) => `kiloclaw-admin runs show ${id}`),
          ],
        },
      );
  }
}

function conflict(inTheWay: Run, sent: boolean, prompt: string): CliError {
  const since = formatAgo(inTheWay.startedAt, new Date());
  const same =
    inTheWay.prompt === prompt ? "with the same prompt" : `with another prompt: "${promptLine(inTheWay).slice(0, 80)}"`;
  return new CliError(
    "conflict",
    `${sent ? "another run is active" : "a run is already in progress; nothing was sent"}: ${inTheWay.id}`,
    {
      hint: [
        `started by ${initiator(inTheWay)} ${since}, ${same}`,
        `follow it: kiloclaw-admin runs watch ${inTheWay.id}`,
      ],
      retryable: true,
    },
  );
}
