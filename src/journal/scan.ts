import { writerOf, type Holder } from "./claim.ts";
import { CliError } from "../errors.ts";
import { systemFiles, type FileLayer } from "./file-layer.ts";
import { allJournals, type JournalFile } from "./folder.ts";
import { noteOpen } from "./journal.ts";
import { readJournal, type Torn } from "./read.ts";
import type { IntentRecord, JournalRecord } from "./record.ts";

export interface ScanOptions {
  readonly files?: FileLayer;
  /** Told of a journal with a torn end, which is left out. Where a process is writing it, that is only how far it has come. */
  readonly onTorn?: (journal: JournalFile, torn: Torn) => void;
  /** Told of a journal that is damaged or cannot be read, when what stands before the damage has been given. Absent: thrown. */
  readonly onDamaged?: ((journal: JournalFile, error: CliError) => void) | undefined;
}

/** A record, with the journal it stands in. */
export interface Located {
  readonly journal: JournalFile;
  readonly record: JournalRecord;
}

/**
 * Every record of this machine, in the order of their times, whichever journals they stand in. In memory are only the
 * journals that overlap at one time, a piece of each.
 *
 * @throws CliError `local-state` as {@link readJournal} does.
 */
export async function* allRecords(
  stateDirectory: string,
  { files = systemFiles, onTorn, onDamaged }: ScanOptions = {},
): AsyncGenerator<Located, void, undefined> {
  const read = (journal: JournalFile) => readJournal(journal, { files, onTorn: (torn) => onTorn?.(journal, torn) });
  yield* inTimeOrder(
    await allJournals(stateDirectory, files),
    async function* (journal) {
      for await (const record of untilDamaged(journal, read(journal), onDamaged)) yield { journal, record };
    },
    ({ record }) => record.at,
  );
}

/** What can be read of a journal, however damaged, if there is somebody to be told. */
export async function* untilDamaged<T>(
  journal: JournalFile,
  records: AsyncIterable<T>,
  onDamaged: ScanOptions["onDamaged"],
): AsyncGenerator<T, void, undefined> {
  try {
    yield* records;
  } catch (error) {
    if (!onDamaged || !(error instanceof CliError)) throw error;
    onDamaged(journal, error);
  }
}

/**
 * What is read from each of many journals (oldest first), in the order of its times. A journal is opened when its turn comes.
 *
 * @param at the time of an item, as records have it.
 */
export async function* inTimeOrder<T>(
  journals: readonly JournalFile[],
  read: (journal: JournalFile) => AsyncGenerator<T, void, undefined>,
  at: (item: T) => string,
): AsyncGenerator<T, void, undefined> {
  interface Source {
    readonly item: T;
    readonly rest: AsyncGenerator<T, void, undefined>;
  }
  const active: Source[] = [];
  const advance = async (rest: Source["rest"]) => {
    const { done, value } = await rest.next();
    if (!done) active.push({ item: value, rest });
  };
  let next = 0;
  try {
    for (;;) {
      let first = active[0];
      for (const source of active) if (first && at(source.item) < at(first.item)) first = source;
      const journal = journals[next];
      // A journal holds nothing older than its own name.
      if (journal && (!first || journal.name.slice(0, 19) <= compact(at(first.item)))) {
        next += 1;
        await advance(read(journal));
      } else if (first) {
        // Still among the active ones: whoever stops reading here has all of them closed.
        yield first.item;
        active.splice(active.indexOf(first), 1);
        await advance(first.rest);
      } else {
        return;
      }
    }
  } finally {
    for (const { rest } of active) await rest.return();
  }
}

function compact(at: string): string {
  return at.replaceAll(/[-:.]/g, "");
}

/** What can be said of a journal's file. */
export interface Verification {
  readonly journal: JournalFile;
  /**
   * - `ended`: whole, and its last invocation ended in order.
   * - `under-way`: a process is writing it.
   * - `not-ended`: whole as far as it goes, but its last invocation crashed, or was told to stop. Its end may have been removed.
   * - `damaged`: not as it was written, or not to be read at all; `damage` says which.
   */
  readonly state: "ended" | "under-way" | "not-ended" | "damaged";
  readonly records: number;
  readonly intents: number;
  readonly open: number;
  readonly writer: Holder | null;
  /** The rest of a write that did not get to its end. */
  readonly torn: Torn | null;
  readonly damage: string | null;
}

/** Checks every record of a journal: its own hash, and its place in the chain. Changes nothing. */
export async function verifyJournal(journal: JournalFile, files: FileLayer = systemFiles): Promise<Verification> {
  const open = new Map<string, IntentRecord>();
  let [records, intents, last]: [number, number, JournalRecord | undefined] = [0, 0, undefined];
  let torn: Torn | null = null;
  let damage: string | null = null;
  const writer = await writerOf(journal.path, files);
  try {
    for await (const record of readJournal(journal, { files, onTorn: (found) => (torn = found) })) {
      records += 1;
      if (record.kind === "intent") intents += 1;
      noteOpen(open, record);
      last = record;
    }
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    damage = error.message;
  }
  const ended = last?.kind === "end" && !torn;
  const state = damage !== null ? "damaged" : writer ? "under-way" : ended ? "ended" : "not-ended";
  return { journal, state, records, intents, open: open.size, writer, torn, damage };
}
