import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { lastLines } from "../../../runs/output/lines.ts";
import type { Run } from "../../../runs/run.ts";
import { UNSTORABLE } from "../../../runs/settle/settle.ts";
import { stateAfter, watchRun, type WatchEvent } from "../../../runs/watch/one.ts";
import { formatDuration } from "../../../terminal/time.ts";
import { command, hint, type Hint, plain } from "../../../typed-command.ts";
import { OnEnd } from "../../shared/on-end.ts";
import { promptLine, runColor, runTook, runLines } from "../../shared/run-view.ts";
import { writeOneRun } from "./events.ts";

export interface FollowOptions {
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
  /** Of what the run had written before: so many lines. Unless told, all, and on a terminal the last {@link TERMINAL_TAIL}. */
  readonly tail?: number | undefined;
  readonly all?: boolean | undefined;
  /** The user has just been told which run it is, and whose. */
  readonly introduced?: boolean | undefined;
  /** The user's command to run at the end, see {@link OnEnd}. */
  readonly onEnd?: string | undefined;
}

const TERMINAL_TAIL = 50;
const TICK_MS = 1_000;
const HEARTBEAT_MS = 30_000;

/**
 * Shows a run's output as it grows, to its end or until the user has seen enough. Never touches the run.
 *
 * @returns the run as it ended, or `undefined` when the user stopped watching.
 * @throws CliError `still-running`, `conflict`, `auth`
 */
export async function followRun(
  context: Pick<Context, "api" | "host" | "output" | "stop" | "closed" | "platform">,
  run: Run,
  { interval, timeout, tail, all = false, introduced = false, onEnd }: FollowOptions,
): Promise<Run | undefined> {
  const { api, host, output, stop: asked, closed } = context;
  const hook = await OnEnd.of(context, onEnd);
  const stop = AbortSignal.any([asked, closed]);
  const watched = watchRun(await api(), run, { stop, intervalMs: interval, timeoutMs: timeout });
  const lines = tail ?? (output.format === "table" && host.stdout.isTTY ? TERMINAL_TAIL : undefined);
  const events = all || lines === undefined ? watched : fromLastLines(watched, lines);
  let ended: Run | undefined;
  try {
    switch (output.format) {
      case "table":
        ended = await showEvents(output, run, events, introduced);
        break;
      case "json":
      case "jsonl":
      case "yaml":
        ended = await writeOneRun(output, run, events);
        break;
      default:
        ended = await lastOf(events);
    }
    if (ended) hook?.run({ run: ended, state: "ended" });
  } catch (error) {
    const state = stateAfter(error);
    if (state) hook?.run({ run, state });
    throw error;
  } finally {
    await hook?.drained();
  }
  if (!ended && asked.aborted) {
    output.note(hint`stopped watching; the run goes on. Resume watching: ${command("runs watch", run.id)}`);
  }
  return ended;
}

/** Ends the command with the run's own result as exit code. */
export function exitWithResult(run: Run): void {
  const silent = { silent: true };
  if (run.outcomeUnknown) throw new CliError("outcome-unknown", "the run's outcome is unknown", silent);
  if (run.status === "failed") throw new CliError("run-failed", "the run failed", silent);
  if (run.status === "cancelled") throw new CliError("run-cancelled", "the run was cancelled", silent);
}

/** Of an output event: how many lines before its text were left out. */
type ShownEvent = WatchEvent & { readonly leftOut?: number };

/** Leaves out what the run had written before, but for its last lines. */
async function* fromLastLines(events: AsyncIterable<WatchEvent>, count: number): AsyncGenerator<ShownEvent> {
  let answered = false;
  for await (const event of events) {
    yield event.type === "output" && !answered ? { ...event, ...lastLines(event.text, count) } : event;
    answered ||= event.type !== "trouble";
  }
}

async function showEvents(
  output: Context["output"],
  run: Run,
  events: AsyncIterable<ShownEvent>,
  introduced: boolean,
): Promise<Run | undefined> {
  // Its ID, whose it is and where have been said; who started it may be somebody else.
  const lines = runLines([run], output.now()).slice(introduced ? -1 : 0);
  await output.header([...lines, { label: "prompt", value: promptLine(run) }]);
  const line = await output.busy("reading the run's output");
  const text = output.untrusted();
  let state: Extract<WatchEvent, { type: "progress" | "trouble" }> | undefined;
  let gap = false;
  let heardAt = Date.now();
  let heartbeatAt = Date.now();
  const tick = () => {
    if (!state) return;
    line.show(statusLine(run, state, Date.now() - heardAt, output.now()));
    if (output.accessible && Date.now() - heartbeatAt >= HEARTBEAT_MS) {
      heartbeatAt = Date.now();
      output.note(statusLine(run, state, Date.now() - heardAt, output.now()));
    }
  };
  const ticking = setInterval(tick, TICK_MS);
  try {
    for await (const event of events) {
      switch (event.type) {
        case "output":
          if (event.leftOut) {
            const lines = `${event.gap ? "at least " : ""}${event.leftOut} earlier ${event.leftOut === 1 ? "line" : "lines"}`;
            output.note(hint`${plain(lines)} left out; see them: ${command("runs logs", run.id)}`);
          }
          // An output that repeats itself would have it said at each poll.
          if (event.gap && !gap && !event.leftOut)
            output.warn("some output may be missing here: the machine keeps only the newest part");
          if (event.revised) output.warn("some of the output above differs from what the platform has now");
          gap = event.gap;
          text.write(event.text);
          break;
        case "trouble":
          if (state?.type !== "trouble") output.warn(`${event.error.message}; the run is not affected, retrying`);
          state = event;
          heardAt = Date.now();
          break;
        case "progress":
          state = event;
          heardAt = Date.now();
          break;
        case "end":
          line.stop();
          text.end();
          sayEnd(output, event);
          return event.run;
      }
      tick();
    }
  } finally {
    clearInterval(ticking);
    line.stop();
    // Whatever happened: the customer's colours end here.
    text.end();
  }
  return undefined;
}

/** Waits for the end without a word of what comes before: for formats that have no form for it. */
async function lastOf(events: AsyncIterable<WatchEvent>): Promise<Run | undefined> {
  for await (const event of events) if (event.type === "end") return event.run;
  return undefined;
}

function statusLine(
  run: Run,
  state: Extract<WatchEvent, { type: "progress" | "trouble" }>,
  sinceHeardMs: number,
  now: Date,
): string {
  const running = `running for ${formatDuration(now.getTime() - run.startedAt.getTime())}`;
  const next = `next poll in ${formatDuration(Math.max(0, state.nextPollMs - sinceHeardMs))}`;
  if (state.type === "trouble") return `${running}? no answer from the platform · ${next}`;
  const silent = state.silentMs + sinceHeardMs;
  return [running, ...(silent > HEARTBEAT_MS ? [`silent for ${formatDuration(silent)}`] : []), next].join(" · ");
}

type EndEvent = Extract<WatchEvent, { type: "end" }>;

function sayEnd(output: Context["output"], event: EndEvent): void {
  const { run, unstorable } = event;
  const lost = run.outcomeUnknown ? ": the machine lost this run, its outcome is unknown" : "";
  const [head, next] = endWords(run);
  output.headline(runColor(run), head, `run ${run.id} after ${runTook(run, output.now())}${exitWords(event)}${lost}`);
  if (unstorable) output.note(`${UNSTORABLE}: its row stays \`running\`, which keeps no start out`);
  output.note(next);
}

/** How the run's process ended. */
function exitWords({ run: { exitCode, status, outcomeUnknown }, output }: EndEvent): string {
  if (exitCode !== null) return `, exit code ${exitCode}`;
  if (status !== "failed" || outcomeUnknown) return "";
  // The controller's own last line where there was no process; all others that have no exit code were killed.
  return /\[process error: [^\n]*\]\s*$/.test(output ?? "") ? ", could not be started" : ", killed by a signal";
}

/** What became of a run, and what to type next. */
function endWords({ id, status, outcomeUnknown }: Run): readonly [head: string, next: Hint] {
  if (outcomeUnknown) return ["? outcome unknown", hint`what can still be found out: ${command("runs diagnose", id)}`];
  const again = hint`its output again: ${command("runs logs", id)}`;
  const words: Record<Run["status"], readonly [head: string, next: Hint]> = {
    completed: ["✓ completed", again],
    failed: ["✗ failed", hint`once the cause is fixed: ${command("runs retry", id)}`],
    cancelled: ["■ cancelled", hint`its output, if it was kept here: ${command("runs logs", id)}`],
    running: ["running", again],
  };
  return words[status];
}
