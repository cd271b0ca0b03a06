import type { Api } from "../../../api/api.ts";
import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { runStatusWord, initiator, type Run } from "../../../runs/run.ts";
import { watchRun } from "../../../runs/watch/one.ts";
import { formatAgo, formatDuration } from "../../../terminal/time.ts";
import { command, hint } from "../../../typed-command.ts";
import { promptLine, runTook } from "../../shared/run-view.ts";
import type { FollowOptions } from "../watch/follow.ts";

/** What to do when a run is already in progress on the instance. */
export type OnConflict = "fail" | "attach" | "wait";

/** A run in progress that keeps another one from being started. */
export interface InTheWay {
  readonly run: Run;
  /** A start was sent before it was seen: then another one needs a person. */
  readonly sent: boolean;
  /** It is just like the run that the start that was sent would have become, and perhaps is that run. */
  readonly alike: boolean;
  /** The prompt of the start that it is in the way of. */
  readonly prompt: string;
}

/** Shows what is in the way and decides what to do about it: as the flag says, else as the user says, else fail. */
export async function decide(
  { output, prompter, platform }: Pick<Context, "output" | "prompter" | "platform">,
  inTheWay: InTheWay,
  asked: OnConflict | undefined,
): Promise<OnConflict> {
  if (asked === "fail" || (asked === undefined && !prompter.canAsk)) return "fail";
  const { run, sent } = inTheWay;
  output.notes([
    { label: "in progress", value: run.id },
    { label: "user", value: run.userEmail ?? run.userId },
    { label: "started by", value: `${initiator(run)}, ${formatAgo(run.startedAt, output.now())}` },
    { label: "prompt", value: promptWords(inTheWay) },
  ]);
  if (asked === undefined) {
    return prompter.choose("A run is already in progress on this instance.", await platform(), [
      { value: "attach", name: "watch that run" },
      ...(sent ? [] : [{ value: "wait", name: "wait for its end, then start" } as const]),
      { value: "fail", name: "leave it" },
    ]);
  }
  if (asked === "wait" && sent) {
    output.warn("not waiting to start: the request that was just sent may have started a run before this one");
    return "fail";
  }
  return asked;
}

/**
 * Waits for the end of the run in the way, which also records its outcome.
 *
 * @throws CliError `still-running` when the timeout was reached first; what `watchRun` throws.
 */
export async function waitForEnd(
  { output, stop }: Pick<Context, "output" | "stop">,
  api: Api,
  run: Run,
  { interval, timeout }: FollowOptions,
): Promise<void> {
  const progress = await output.busy(`waiting for run ${run.id} to end`);
  output.note(`waiting for run ${run.id} of ${initiator(run)} to end`);
  try {
    for await (const event of watchRun(api, run, { stop, intervalMs: interval, timeoutMs: timeout })) {
      if (event.type === "end") {
        return output.note(
          `run ${run.id} has ended: ${runStatusWord(event.run)} after ${runTook(event.run, output.now())}`,
        );
      }
      const running = formatDuration(output.now().getTime() - run.startedAt.getTime());
      if (event.type === "progress") progress.show(`waiting for run ${run.id} to end, running for ${running}`);
      if (event.type === "trouble") progress.show(`waiting for run ${run.id} to end? ${event.error.message}`);
    }
  } catch (error) {
    if (!(error instanceof CliError) || error.kind !== "still-running") throw error;
    throw new CliError("still-running", `run ${run.id} has not ended yet; nothing was started`, {
      hint: error.hints,
      retryable: true,
      cause: error,
    });
  } finally {
    progress.stop();
  }
  stop.throwIfAborted();
}

/** The error that names what is in the way, and how to get back to it. */
export function conflict(inTheWay: InTheWay): CliError {
  const { run, sent, alike } = inTheWay;
  const found = sent ? "another run is active" : "a run is already in progress; nothing was sent";
  return new CliError(
    "conflict",
    alike ? `the machine was busy with a run just like yours, perhaps yours: ${run.id}` : `${found}: ${run.id}`,
    {
      hint: [
        `started by ${initiator(run)} ${formatAgo(run.startedAt, new Date())}, with ${promptWords(inTheWay)}`,
        hint`follow it: ${command("runs watch", run.id)}`,
      ],
      retryable: true,
      sent,
    },
  );
}

function promptWords({ run, prompt }: InTheWay): string {
  return run.prompt === prompt ? "the same prompt" : `another prompt: "${promptLine(run).slice(0, 80)}"`;
}
