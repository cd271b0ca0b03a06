import { isSamePlatform } from "../../../api/origin.ts";
import { limit } from "../../../async/limit.ts";
import { unlessAborted } from "../../../async/on-abort.ts";
import { stateOfItems, type Job } from "../../../bulk/job/job.ts";
import { inProgress, refreshItems, type Refreshed } from "../../../bulk/job/refresh.ts";
import type { Context } from "../../../context.ts";
import { messageOf } from "../../../errors.ts";
import { localTime } from "../../../terminal/time.ts";

export const noRefresh = ["--no-refresh", "show what is recorded, without polling runs in progress"] as const;

/**
 * The job as it is now: where there is a login and a network, runs in progress are asked about. Says as of when it is otherwise. Shown
 * only: nothing of it is written into the job, which somebody may be working on.
 */
export async function refreshed<J extends Pick<Job, "facts" | "items">>(
  context: Context,
  job: J,
  refresh: boolean,
): Promise<J> {
  const { output, host } = context;
  const running = inProgress(job.items).size;
  if (running === 0) return job;
  const late = limit(context.stop, host.timing.refreshMs);
  const found = { items: [...job.items], settled: new Set<number>() };
  const began = new Date();
  let why: string | undefined;
  try {
    if (refresh) await unlessAborted(late.signal, ask(context, job, found, late.signal));
    else why = "--no-refresh";
  } catch (error) {
    context.stop.throwIfAborted();
    why = late.expired ? `no answer within ${host.timing.refreshMs / 1_000} s` : messageOf(error);
  } finally {
    late.release();
  }
  // What comes later than this is not waited for.
  const items = [...found.items];
  const left = running - found.settled.size;
  const asOf = left === 0 ? began : job.facts.asOf;
  if (left > 0) {
    const runs = left === 1 ? "1 run in progress" : `${left} runs in progress`;
    output.note(`as of ${localTime(asOf, began)}: ${runs} not polled (${why ?? "machine stopped, or no answer"})`);
  }
  const state = ["running", "incomplete"].includes(job.facts.state) ? job.facts.state : stateOfItems(items);
  return { ...job, items, facts: { ...job.facts, state, asOf } };
}

async function ask(
  context: Context,
  { facts }: Pick<Job, "facts">,
  found: Refreshed,
  stop: AbortSignal,
): Promise<void> {
  const platform = await context.platform();
  if (!isSamePlatform(platform, facts)) throw new Error(`the job belongs to ${facts.origin}`);
  // Nobody is asked to log in for this.
  const { credential, origin } = await context.connection();
  if (!credential) throw new Error("not logged in");
  const progress = await context.output.busy("checking runs in progress");
  try {
    await refreshItems(await context.apiAs(credential.token, origin, stop), found, stop);
  } finally {
    progress.stop();
  }
}
