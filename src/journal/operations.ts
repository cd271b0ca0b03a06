import type { CliError } from "../errors.ts";
import { systemFiles } from "../files/file-layer.ts";
import { writerOf } from "./claim.ts";
import { allJournals, type JournalFile } from "./folder.ts";
import { readJournal } from "./read.ts";
import { jobPlaybook, type IntentRecord, type JournalRecord, type PlaybookMark } from "./record.ts";
import { inTimeOrder, untilDamaged, type ScanOptions } from "./scan.ts";

type EndingRecord = Extract<JournalRecord, { kind: "outcome" | "reconcile" }>;
type OverrideRecord = Extract<JournalRecord, { kind: "override" }>;
/** Of a run that is known without the intent of its start. */
type AdoptionRecord = Extract<JournalRecord, { kind: "reconcile" }> & {
  readonly adopted: NonNullable<Extract<JournalRecord, { kind: "reconcile" }>["adopted"]>;
};
type FirstRecord = IntentRecord | OverrideRecord | AdoptionRecord;

/** What was done, or may have been done, to one instance or run: an intent and what became of it. */
export interface Operation {
  readonly journal: JournalFile;
  readonly op: string;
  /** What was written down about it first: the intent, the decision that went before it, or that its run was adopted. */
  readonly first: FirstRecord;
  readonly decisions: readonly OverrideRecord[];
  /** The last that was found out, as far as it goes. */
  readonly ending: EndingRecord | null;
  /** Of a start: what its prompt comes from. */
  readonly playbook: PlaybookMark | null;
  /**
   * - `settled`: nothing is left to find out.
   * - `open`: nobody knows, and nobody is at it.
   * - `under-way`: a process is at it.
   * - `not-sent`: only a person's decision was written down; the request would have come after its intent.
   * - `unreadable`: what became of it stands behind a damage.
   */
  readonly state: "settled" | "open" | "under-way" | "not-sent" | "unreadable";
}

/**
 * Every operation of this machine, in the order in which they were begun, whichever journals they stand in. In memory are the
 * journals that overlap at one time, of each from its first open operation on.
 *
 * @throws CliError `local-state` as `readJournal` does, unless there is an `onDamaged`.
 */
export async function* allOperations(
  stateDirectory: string,
  options: ScanOptions = {},
): AsyncGenerator<Operation, void, undefined> {
  const journals = await allJournals(stateDirectory, options.files);
  yield* inTimeOrder(
    journals,
    (journal) => operationsOf(journal, options),
    ({ first }) => first.at,
  );
}

interface Draft {
  first: FirstRecord;
  readonly decisions: OverrideRecord[];
  ending: EndingRecord | null;
}

async function* operationsOf(
  journal: JournalFile,
  { files = systemFiles, onTorn, onDamaged }: ScanOptions,
): AsyncGenerator<Operation, void, undefined> {
  const drafts = new Map<string, Draft>();
  // Asked first: what a process finished before it let go is then read, not taken for abandoned.
  const writer = await writerOf(journal.path, files);
  const failure: { error?: CliError } = {};
  let ofJob: PlaybookMark | undefined;
  const playbookOf = ({ first }: Draft): PlaybookMark | null => {
    const own = first.kind === "intent" ? first.playbook : undefined;
    return own ?? (first.action === "start" ? ofJob : undefined) ?? null;
  };
  const records = readJournal(journal, { files, onTorn: (torn) => onTorn?.(journal, torn) });
  const readable = untilDamaged(journal, records, (_, error) => (failure.error = error));
  for await (const record of readable) {
    if (record.kind === "job") ofJob = jobPlaybook(record.settings);
    note(drafts, record);
    for (const [op, draft] of drafts) {
      if (draft.ending?.settled !== true) break;
      drafts.delete(op);
      yield { journal, op, ...draft, playbook: playbookOf(draft), state: "settled" };
    }
  }
  for (const [op, draft] of drafts) {
    const { first, ending } = draft;
    const left = failure.error ? "unreadable" : writer ? "under-way" : first.kind === "intent" ? "open" : "not-sent";
    const state = ending?.settled === true ? "settled" : left;
    yield { journal, op, ...draft, playbook: playbookOf(draft), state };
  }
  if (failure.error && !onDamaged) throw failure.error;
  if (failure.error) onDamaged?.(journal, failure.error);
}

function note(drafts: Map<string, Draft>, record: JournalRecord): void {
  if (record.kind === "job" || record.kind === "end") return;
  const draft = drafts.get(record.op);
  if (record.kind === "outcome" || record.kind === "reconcile") {
    if (draft) draft.ending = record;
    else if (isAdoption(record)) drafts.set(record.op, { first: record, decisions: [], ending: record });
    return;
  }
  const decision = record.kind === "override" ? [record] : [];
  if (!draft) drafts.set(record.op, { first: record, decisions: decision, ending: null });
  else if (record.kind === "intent") draft.first = record;
  else draft.decisions.push(record);
}

function isAdoption(record: JournalRecord): record is AdoptionRecord {
  return record.kind === "reconcile" && record.adopted !== undefined;
}
