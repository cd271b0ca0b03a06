import type { Api } from "../../api/api.ts";
import { CONCURRENCY } from "../../async/pool.ts";
import type { Run } from "../../runs/run.ts";
import { sweepRuns } from "../../runs/settle/sweep.ts";
import { afterRun, runOf } from "../item-run.ts";
import type { Item } from "../item.ts";

/** The items whose runs are in progress as far as the job knows: their places in it, and their runs. */
export function inProgress(items: readonly Item[]): Map<number, Run> {
  const runs = new Map<number, Run>();
  for (const [slot, item] of items.entries()) {
    const run = item.state === "running" ? runOf(item) : undefined;
    if (run) runs.set(slot, run);
  }
  return runs;
}

/** A job's items as far as they are brought up to date. */
export interface Refreshed {
  readonly items: Item[];
  /** The places of those whose runs are known now to have ended, or to go on. */
  readonly settled: Set<number>;
}

/**
 * Asks what has become of a job's runs in progress, by the rules of settling: one on a machine that does not run is left alone. For
 * showing: nothing is written down here.
 *
 * @param found the job's items; kept up to date, so that what is known is there whenever this ends.
 * @throws ApiError as `sweepRuns`.
 */
export async function refreshItems(api: Api, { items, settled }: Refreshed, stop: AbortSignal): Promise<void> {
  const runs = inProgress(items);
  const slots = new Map([...runs].map(([slot, run]) => [run.id, slot]));
  const sweep = sweepRuns(api, [...runs.values()], { concurrency: CONCURRENCY, stop });
  for await (const { run, state, lastLine = null } of sweep) {
    const slot = slots.get(run.id) ?? -1;
    const item = items[slot];
    if (!item || (state !== "ended" && state !== "running")) continue;
    settled.add(slot);
    if (state === "ended") items[slot] = { ...item, ...afterRun(run, lastLine) };
  }
}
