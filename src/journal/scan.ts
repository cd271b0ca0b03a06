import { CliError } from "../errors.ts";
import { systemFiles, type FileLayer } from "../files/file-layer.ts";
import { Chain } from "./chain.ts";
import { writerOf, type Holder } from "./claim.ts";
import { allJournals, type JournalFile } from "./folder.ts";
import { readJournal, type Torn } from "./read.ts";
import type { JournalRecord } from "./record.ts";

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

/** So many journals are read ahead of their turn: reading one is mostly waiting for the disk. */
const AHEAD = 16;

/**
 * What is read from each of many journals (oldest first), in the order of its times. A journal is read when its turn comes, or
 * shortly before.
 *
 * @param at the time of an item, as records have it.
 */
export async function* inTimeOrder<T>(
  journals: readonly JournalFile[],
  read: (journal: JournalFile) => AsyncGenerator<T, void, undefined>,
  at: (item: T) => string,
): AsyncGenerator<T, void, undefined> {
  interface Source {
    readonly index: number;
    readonly item: T;
    readonly rest: AsyncGenerator<T, void, undefined>;
  }
  /** The latest first, so that the next one is taken from the end. */
  const active: Source[] = [];
  const isBefore = (one: Source, other: Source) => {
    const [a, b] = [at(one.item), at(other.item)];
    return a === b ? one.index < other.index : a < b;
  };
  const add = (source: Source) => {
    let [low, high] = [0, active.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(source, active[middle] as Source)) low = middle + 1;
      else high = middle;
    }
    active.splice(low, 0, source);
  };
  const ahead: { readonly rest: Source["rest"]; readonly first: Promise<IteratorResult<T, void>> }[] = [];
  let [begun, next] = [0, 0];
  try {
    for (;;) {
      for (; begun < journals.length && begun < next + AHEAD; begun++) {
        const rest = read(journals[begun] as JournalFile);
        const first = rest.next();
        // It is told when its turn comes.
        first.catch(() => undefined);
        ahead.push({ rest, first });
      }
      const first = active.at(-1);
      const journal = journals[next];
      // A journal holds nothing older than its own name.
      if (journal && (!first || journal.name.slice(0, 19) <= compact(at(first.item)))) {
        const index = next;
        next += 1;
        const [{ rest, first: found }] = ahead.splice(0, 1) as [(typeof ahead)[number]];
        const { done, value } = await found;
        if (!done) add({ index, item: value, rest });
      } else if (first) {
        // Still among the active ones: whoever stops reading here has all of them closed.
        yield first.item;
        active.pop();
        const { done, value } = await first.rest.next();
        if (!done) add({ ...first, item: value });
      } else {
        return;
      }
    }
  } finally {
    for (const { rest } of [...active, ...ahead]) await rest.return();
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
  const chain = new Chain();
  let torn: Torn | null = null;
  let damage: string | null = null;
  const writer = await writerOf(journal.path, files);
  try {
    for await (const record of readJournal(journal, { files, onTorn: (found) => (torn = found) })) {
      chain.note(record);
    }
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    damage = error.message;
  }
  const { seq: records, intents, open } = chain;
  const ended = chain.ended && !torn;
  const state = damage !== null ? "damaged" : writer ? "under-way" : ended ? "ended" : "not-ended";
  return { journal, state, records, intents, open: open.size, writer, torn, damage };
}
