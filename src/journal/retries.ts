/** Which run is a retry of which, as far as this machine has started them. */
import { allJournals, journalTime } from "./folder.ts";
import { readJournal } from "./read.ts";
import { isSeen } from "./record.ts";

export interface Retries {
  /** The run that this one is a retry of. */
  readonly retryOf: string | null;
  /** Its retries, oldest first. */
  readonly retriedAs: readonly string[];
}

/** A start is written down before its row, by a clock that may be behind the platform's. */
const BEFORE_MS = 10 * 60_000;

/** Reads the journals that were begun since the run was started. What cannot be read has no links. */
export async function retriesOf(
  stateDirectory: string,
  { id, startedAt }: { readonly id: string; readonly startedAt: Date },
): Promise<Retries> {
  const since = startedAt.getTime() - BEFORE_MS;
  const journals = (await allJournals(stateDirectory)).filter(({ name }) => journalTime(name) >= since);
  let retryOf: string | null = null;
  const retriedAs: string[] = [];
  for (const journal of journals) {
    const links = new Map<string, string>();
    try {
      for await (const record of readJournal(journal)) {
        if (record.kind === "intent" && record.retryOf !== undefined) links.set(record.op, record.retryOf);
        if ((record.kind !== "outcome" && record.kind !== "reconcile") || record.runId === null) continue;
        const of = links.get(record.op);
        // A run that is just like the one that was to be started was seen: nobody knows whose it is.
        if (of === undefined || isSeen(record.result)) continue;
        if (record.runId === id) retryOf = of;
        if (of === id && !retriedAs.includes(record.runId)) retriedAs.push(record.runId);
      }
    } catch {
      // `audit verify` names a journal that cannot be read.
    }
  }
  return { retryOf, retriedAs };
}
