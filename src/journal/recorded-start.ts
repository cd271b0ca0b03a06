/** What this machine's journals say of the start of a run. */
import { allJournals, journalTime } from "./folder.ts";
import { readJournal } from "./read.ts";
import { isSeen, jobPlaybook, type PlaybookMark } from "./record.ts";

export interface RecordedStart {
  /** The run that this one is a retry of. */
  readonly retryOf: string | null;
  /** Its retries, oldest first. */
  readonly retriedAs: readonly string[];
  /** Where its prompt comes from. */
  readonly playbook: PlaybookMark | null;
}

/** A start is written down before its row, by a clock that may be behind the platform's. */
const BEFORE_MS = 10 * 60_000;

/** Reads the journals that were begun since the run was started. What cannot be read says nothing. */
export async function recordedStart(
  stateDirectory: string,
  { id, startedAt }: { readonly id: string; readonly startedAt: Date },
): Promise<RecordedStart> {
  const since = startedAt.getTime() - BEFORE_MS;
  const journals = (await allJournals(stateDirectory)).filter(({ name }) => journalTime(name) >= since);
  let retryOf: string | null = null;
  let playbook: PlaybookMark | null = null;
  const retriedAs: string[] = [];
  for (const journal of journals) {
    let ofJob: PlaybookMark | undefined;
    const starts = new Map<string, { readonly of: string | undefined; readonly playbook: PlaybookMark | undefined }>();
    try {
      for await (const record of readJournal(journal)) {
        if (record.kind === "job") ofJob = jobPlaybook(record.settings);
        if (record.kind === "intent" && record.action === "start") {
          starts.set(record.op, { of: record.retryOf, playbook: record.playbook ?? ofJob });
        }
        if ((record.kind !== "outcome" && record.kind !== "reconcile") || record.runId === null) continue;
        if (record.kind === "reconcile" && record.adopted) starts.set(record.op, { of: undefined, playbook: ofJob });
        const start = starts.get(record.op);
        // A run that is just like the one that was to be started was seen: nobody knows whose it is.
        if (!start || isSeen(record.result)) continue;
        if (record.runId === id) {
          retryOf = start.of ?? retryOf;
          playbook = start.playbook ?? playbook;
        }
        if (start.of === id && !retriedAs.includes(record.runId)) retriedAs.push(record.runId);
      }
    } catch {
      // `audit verify` names a journal that cannot be read.
    }
  }
  return { retryOf, retriedAs, playbook };
}
