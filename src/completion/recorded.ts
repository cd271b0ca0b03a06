import { platformOf } from "../api/origin.ts";
import { allJournals } from "../journal/folder.ts";
import { readJournal } from "../journal/read.ts";
import { safelySeen, type Seen } from "./seen.ts";

const MAX_JOURNALS = 30;
const MAX_RECORDS = 2_000;

/** The runs that this machine has started or cancelled on a platform, the newest first, as far as that is quickly read. */
export async function seenInJournal(stateDirectory: string, origin: string): Promise<Seen[]> {
  const newest = (await allJournals(stateDirectory)).slice(-MAX_JOURNALS).toReversed();
  const found: Seen[] = [];
  let left = MAX_RECORDS;
  for (const journal of newest) {
    const rows = new Map<string, Seen>();
    try {
      for await (const record of readJournal(journal)) {
        if ((left -= 1) < 0) break;
        if (platformOf(record.origin) !== platformOf(origin)) break;
        if (record.kind === "intent") rows.set(record.op, safelySeen({ ...record, email: null, status: null }));
        const row = rows.get(record.op);
        if (row && (record.kind === "outcome" || record.kind === "reconcile") && record.runId !== null) {
          rows.set(record.op, { ...row, runId: record.runId });
        }
      }
    } catch {
      // What stands before a damage is as good as any.
    }
    found.push(...[...rows.values()].toReversed());
  }
  return found;
}
