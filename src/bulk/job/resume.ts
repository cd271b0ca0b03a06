import type { Api } from "../../api/api.ts";
import { ownSignal } from "../../async/own-signal.ts";
import { pooled, whileGoing } from "../../async/pool.ts";
import type { Ledger } from "../../journal/ledger.ts";
import type { IntentRecord } from "../../journal/record.ts";
import { findStart, type StartIntent } from "../../runs/start/reconcile.ts";
import { type SearchOptions } from "../../runs/start/row-search.ts";
import { isDecided } from "../item-state.ts";
import type { Item } from "../item.ts";

/** Most of a search is waiting, and the looks of one moment share a request. */
const SEARCHES = 50;

/**
 * Finds out what became of starts that were under way when a job was interrupted, as far as the platform's rows tell, and
 * writes it down. What is not found stays open: nobody knows, and nothing is sent there again.
 *
 * @param items the job's; those whose run is found are brought up to date.
 * @throws ApiError when the platform cannot be asked; CliError `local-state`
 */
export async function* reconcileItems(
  api: Api,
  ledger: Ledger,
  items: Item[],
  { stop, lookAfterMs = api.timing.lookAfterMs }: Pick<SearchOptions, "stop"> & Partial<SearchOptions>,
): AsyncGenerator<Item, void, undefined> {
  const journal = await ledger.journal();
  const open = journal.open.filter(isStartIntent);
  if (open.length === 0) return;
  const recorded = await ledger.knownRuns();
  const slots = new Map(items.map(({ target: { instanceId } }, slot) => [instanceId, slot]));
  const find = async (intent: StartIntent) => {
    // Its own for each search: however many there are, nothing piles up on the one that they share.
    const own = ownSignal(stop);
    try {
      return { intent, finding: await findStart(api, intent, recorded, { stop: own.signal, lookAfterMs }) };
    } finally {
      own.release();
    }
  };
  for await (const { intent, finding } of pooled(
    whileGoing(open, () => !stop.aborted),
    SEARCHES,
    find,
  )) {
    const slot = slots.get(intent.instanceId) ?? -1;
    const item = items[slot];
    if (!item) continue;
    if (finding.state === "found") {
      const { id: runId, startedAt } = finding.run;
      await journal.append({ kind: "reconcile", op: intent.op, runId, result: "found", settled: true, code: null });
      items[slot] =
        item.runId === null || item.runId === runId
          ? { ...item, state: "running", runId, startedAt, problem: null }
          : { ...item, problem: `another start of this job has a run as well: ${runId}` };
    } else if (item.runId === null) {
      const several =
        finding.state === "alarm" ? `several runs fit it: ${finding.runs.map(({ id }) => id).join(", ")}` : null;
      items[slot] = {
        ...item,
        state: "unknown",
        problem: several ?? "no record of a run was found, which is no proof",
      };
    } else {
      // A person had a start sent again, and that one's run is known.
      continue;
    }
    yield items[slot];
  }
}

function isStartIntent(intent: IntentRecord): intent is StartIntent {
  return intent.instanceId !== null;
}

/**
 * How many runs still have to complete before the others are started: a job may have been interrupted before its canary's runs had
 * ended. `null`: they have completed, or one of them has not, which whoever goes on with the job has seen.
 *
 * @param canary how many there were to be.
 */
export function canaryLeft(items: readonly Item[], canary: number | null): number | null {
  const ended = items.filter(({ state, runId, attached }) => runId !== null && !attached && isDecided(state));
  if (canary === null || ended.some(({ state }) => state !== "completed")) return null;
  const left = canary - ended.length;
  return left > 0 ? left : null;
}
