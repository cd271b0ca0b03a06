/** Sending one start whose target is known, and handing its run over. */
import type { Context } from "../../../context.ts";
import { UPSTREAM_CODES } from "../../../contract/procedures.ts";
import { getInstance, type Instance } from "../../../customers/instances.ts";
import { CliError } from "../../../errors.ts";
import type { Ledger } from "../../../journal/ledger.ts";
import { initiator, type Run } from "../../../runs/run.ts";
import { startOnRecord, type RecordedOutcome } from "../../../runs/start/on-record.ts";
import { usualCause, type StartRequest } from "../../../runs/start/start.ts";
import type { PrintedEvent } from "../../../runs/watch/watched.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { command, hint } from "../../../typed-command.ts";
import { keepUnstorable } from "../../shared/keep-unstorable.ts";
import { runView } from "../../shared/run-view.ts";
import type { WhyOptions } from "../../shared/ticket-and-reason.ts";
import { exitWithResult, followRun, type FollowOptions } from "../watch/follow.ts";
import { conflict, decide, waitForEnd, type OnConflict } from "./conflict.ts";

/** What one start can do about a run in progress. */
export interface ForOne {
  readonly onConflict?: OnConflict | undefined;
}

/** How one start is sent, and what comes after it. */
export interface SendOptions extends FollowOptions, WhyOptions {
  readonly watch?: true | undefined;
  readonly yes?: true | undefined;
  readonly onConflict?: OnConflict | "skip" | undefined;
  readonly resendUnknown?: true | undefined;
}

/** Which runs that are there already are taken for the start: an admin's, of its prompt, started since, by the platform's clock. */
interface Unless {
  readonly unlessStartedSince?: Date | undefined;
}

/**
 * Refuses options that make no sense for one start.
 *
 * @throws CliError `usage`
 */
export function assertForOne<Options extends SendOptions>(
  { output }: Pick<Context, "output">,
  options: Options,
): asserts options is Options & ForOne {
  if (options.onConflict === "skip") {
    throw new CliError("usage", "--on-conflict skip is for several targets: with one, nothing would be left to do", {
      hint: "--on-conflict fail says which run is in progress, and exits with 6",
    });
  }
  if (options.watch && output.format === "csv") {
    throw new CliError("usage", "--watch shows a stream of events, which CSV has no form for: use -o jsonl");
  }
  if (options.onEnd !== undefined && !options.watch) {
    throw new CliError("usage", "--on-end needs --watch: a run's end is seen only while it is watched");
  }
}

/**
 * Sends a start whose target is known, on record, and hands its run over: the ID, whatever comes next, and the output where it
 * is to be watched.
 *
 * @throws CliError that says exactly as much as can be known of the start.
 */
export async function sendStart(
  context: Context,
  request: StartRequest,
  ledger: Ledger,
  options: SendOptions & ForOne & Unless,
): Promise<void> {
  const { output } = context;
  const { instance, prompt } = request;
  const who = request.userEmail ?? request.userId;
  const api = await context.api();
  for (;;) {
    const outcome = await send(context, request, ledger, options);
    if (outcome.state !== "conflict" && outcome.state !== "alike") {
      const run = startedOrThrow(outcome, request);
      if (outcome.state === "found") output.note("the run had started; it was found by its row");
      if (outcome.state === "found-earlier") {
        const { at } = outcome.earlier;
        output.note(`this start was sent before, at ${at}, and its answer lost: here is its run, nothing was sent now`);
      }
      if (outcome.state === "already-started") {
        const by = `already started by ${initiator(run)} at ${run.startedAt.toISOString()}`;
        const introduction = options.watch
          ? `run ${run.id} of ${who} was ${by}`
          : `${by}, on instance ${instance.id} of ${who}`;
        return handOver(context, run, { introduction, ...options, all: true, sent: outcome.sent });
      }
      return handOver(context, run, {
        introduction: options.watch
          ? `started recovery run ${run.id} on instance ${instance.id} of ${who}`
          : `started a recovery run on instance ${instance.id} of ${who}`,
        ...options,
        all: true,
        sent: true,
      });
    }
    const inTheWay =
      outcome.state === "alike"
        ? { run: outcome.run, sent: true, alike: true, prompt }
        : { run: outcome.inTheWay, sent: outcome.sent, alike: false, prompt };
    switch (await decide(context, inTheWay, options.onConflict)) {
      case "fail":
        throw conflict(inTheWay);
      case "attach":
        return handOver(context, inTheWay.run, {
          introduction: `attached to run ${inTheWay.run.id}, which was already in progress`,
          ...options,
          watch: true,
          sent: inTheWay.sent,
        });
      case "wait":
        await waitForEnd(context, api, inTheWay.run, options);
    }
  }
}

/** Loads what is needed once the start was sent, when an upgrade may replace the files: to ask about a conflict, and to follow. */
export async function prepare({ output, prompter }: Context, { watch, onConflict }: SendOptions): Promise<void> {
  if (onConflict === undefined) await prompter.prepare();
  const mayFollow = watch || onConflict === "attach" || (onConflict === undefined && prompter.canAsk);
  if (mayFollow) await output.prepare();
}

async function send(
  context: Context,
  request: StartRequest,
  ledger: Ledger,
  { resendUnknown, unlessStartedSince }: SendOptions & Unless,
): Promise<RecordedOutcome> {
  const { output, stop } = context;
  const progress = await output.busy(`starting a recovery run for ${request.userEmail ?? request.userId}`);
  let nothingSent = true;
  try {
    const outcome = await startOnRecord(await context.api(), request, ledger, {
      stop,
      resendUnknown: resendUnknown ?? false,
      unlessStartedSince,
      onSearching: (error) => {
        output.warn(`${error.message}; that does not say whether the run started`);
        progress.show("looking for the run");
      },
      onThrottled: (error, waitMs) => {
        output.note(`${error.message}; trying again in ${formatDuration(waitMs)}, unless a run is on record by then`);
      },
      onUnstorable: (polled) => keepUnstorable(context, polled),
      onEarlier: () => output.note("checking earlier starts on this instance whose outcome is unknown"),
      onUnrecorded: (why) => output.warn(`${why}; the run's start is on record, but not what became of it`),
    });
    nothingSent =
      (outcome.state === "refused" && !outcome.error.sent) || (outcome.state === "already-started" && !outcome.sent);
    return outcome;
  } finally {
    progress.stop();
    if (stop.aborted && nothingSent) output.note("interrupted; nothing was sent");
  }
}

interface HandOverOptions extends SendOptions {
  /** Says which run it is, with its ID where nothing else that follows has it. */
  readonly introduction: string;
  /** A start has left. */
  readonly sent: boolean;
}

/** Gives the run's ID to the user, whatever comes next, and follows the run if that was asked for. */
async function handOver(context: Context, run: Run, options: HandOverOptions): Promise<void> {
  const { output } = context;
  if (output.format === "table") {
    // Its ID once on both streams: one of them may go nowhere.
    output.success(options.introduction);
    output.line(run.id);
    if (!options.watch) output.note(hint`follow it: ${command("runs watch", run.id)}`);
  } else if (!options.watch || output.format === "id") {
    await output.item(run, runView);
  } else {
    output.event({ type: "start", runId: run.id, at: new Date(), run } satisfies PrintedEvent);
  }
  await output.ensureKnown(run.id);
  if (!options.watch) return;
  const ended = await followRun(context, run, { ...options, introduced: true }).catch((error: unknown) => {
    throw options.sent ? afterSend(error) : error;
  });
  if (ended) exitWithResult(ended);
}

/** What ends the watch after a start has left. That the token is refused says of a watch alone that nothing was sent. */
function afterSend(error: unknown): unknown {
  if (!(error instanceof CliError)) return error;
  const { kind, message, hints: hint, retryable } = error;
  return new CliError(kind === "auth" ? "still-running" : kind, message, { hint, retryable, sent: true, cause: error });
}

/** Says what would be started, and sends nothing. */
export async function dryRun(
  { api, output }: Pick<Context, "api" | "output">,
  who: string,
  instance: Instance,
  prompt: string,
) {
  const { machineStatus } = await getInstance(await api(), instance.id);
  output.notes([
    { label: "would start on", value: instance.id },
    { label: "of", value: who },
    ...(instance.organizationId === null ? [] : [{ label: "organization", value: instance.organizationId }]),
    { label: "machine", value: machineStatus ?? "unknown", color: machineStatus === "running" ? "green" : "red" },
    { label: "prompt", value: `${prompt.length} characters: ${prompt.replaceAll(/\s+/g, " ").slice(0, 200)}` },
  ]);
  output.note("dry run: nothing was sent");
}

/** So many open starts are named in a hint. */
const MAX_NAMED = 5;

/** The started run, or the error that says exactly as much as can be known. */
function startedOrThrow(
  outcome: Exclude<RecordedOutcome, { state: "conflict" | "alike" }>,
  { userId, userEmail, instance }: StartRequest,
): Run {
  const who = userEmail ?? userId;
  const look = hint`see what there is: ${command("runs list", { "--user": userId })}`;
  switch (outcome.state) {
    case "started":
    case "found":
    case "found-earlier":
    case "adopted":
    case "already-started":
      return outcome.run;
    case "machine-down":
      throw new CliError(
        "conflict",
        outcome.sent
          ? `the platform refused the start: the instance of ${who} is not running; no record of a run was found`
          : `the instance of ${who} is not running (${outcome.machineStatus ?? "no machine"}); nothing was started`,
        {
          hint: hint`start the machine first, on its page: ${command("instances open", instance.id)}`,
          retryable: true,
          sent: outcome.sent,
        },
      );
    case "refused":
      throw outcome.error.upstreamCode === UPSTREAM_CODES.routeUnavailable
        ? new CliError("conflict", `${outcome.error.message} (the instance of ${who}); nothing was started`, {
            hint: "the controller on its machine is too old: redeploy the instance, then start again",
            sent: true,
          })
        : outcome.error;
    case "unsettled": {
      const named = outcome.intents.slice(-MAX_NAMED);
      const more = outcome.intents.length - named.length;
      throw new CliError(
        "outcome-unknown",
        `an earlier start on the instance of ${who} may have happened; nothing was sent now`,
        {
          hint: [
            ...(more > 0 ? [`${outcome.intents.length} starts are open there; the last ${named.length}:`] : []),
            ...named.map(
              ({ op, at, ticket }) =>
                `it was sent at ${at}${ticket === null ? "" : ` for ${ticket}`}, as operation ${op}`,
            ),
            ...named.map(({ op }) => hint`look for its run: ${command("runs reconcile", op)}`),
            ...(more > 0 ? [hint`look for all of them: ${command("runs reconcile")}`] : []),
            "to start another one anyway, add --resend-unknown: it is recorded as your decision",
          ],
        },
      );
    }
    case "possible-orphan":
      throw new CliError(
        "outcome-unknown",
        `the machine of ${who} is busy with a run that no row records; it may be ours, started by the request just sent`,
        {
          hint: [
            "it cannot be watched or cancelled from here and ends by itself; do not start another one before",
            hint`find out what it is doing: ${command("runs diagnose", { "--user": userId })}`,
            hint`and whether it got a row after all: ${command("runs reconcile")}`,
          ],
        },
      );
    case "unknown": {
      const cause = usualCause(outcome.error);
      throw new CliError(
        "outcome-unknown",
        `no record of the run was found for ${who}; that is not proof that it did not start (${outcome.error.message})`,
        {
          hint: [
            ...(cause === undefined ? [] : [cause]),
            hint`look again before you start another one: ${command("runs reconcile")}`,
            look,
          ],
        },
      );
    }
    case "alarm":
    case "several":
      throw new CliError(
        "outcome-unknown",
        `${outcome.runs.length} runs match the one request that was sent for ${who}`,
        {
          hint: ["nothing was cancelled; look at each", ...outcome.runs.map(({ id }) => command("runs show", id))],
        },
      );
  }
}
