import { CliError, messageOf } from "../errors.ts";
import { isMissing, systemFiles, type FileLayer, type OpenFile } from "./file-layer.ts";
import { assertTrusted, closedPath, type JournalFile } from "./folder.ts";
import {
  FORMAT,
  GENESIS,
  LONGEST_LINE,
  toRecord,
  unseal,
  unsealTail,
  type JournalRecord,
  type Sealed,
} from "./record.ts";

/** What stands behind the last good record: the rest of a write that did not get to its end. */
export interface Torn {
  /** How many bytes are good. */
  readonly offset: number;
  /** How many bytes stand behind them. */
  readonly length: number;
}

/** How far a journal was read. */
export interface Mark {
  /** Where the next record begins. */
  readonly offset: number;
  readonly seq: number;
  /** The last record's hash. */
  readonly hash: string;
}

export const BEGINNING: Mark = { offset: 0, seq: 0, hash: GENESIS };

export interface ReadRecordsOptions {
  /** Told, after the last record, of a torn end. */
  readonly onTorn?: ((torn: Torn) => void) | undefined;
  /** How far it was read before. */
  readonly from?: Mark;
  /** Told, before each record is given, how far it goes. */
  readonly onRead?: (mark: Mark) => void;
}

export interface ReadOptions extends ReadRecordsOptions {
  readonly files?: FileLayer;
}

const CHUNK = 1 << 18;
const LINE_BREAK = 0x0a;

/**
 * Reads a journal, record by record, in little memory. Checks every hash and the chain; changes nothing. A torn end is left
 * out: what is torn had not been promised to anybody.
 *
 * @throws CliError `local-state` when good records stand behind a bad one (after those before it were read), or a newer
 *   version wrote it.
 */
export async function* readJournal(
  journal: JournalFile,
  { files = systemFiles, ...options }: ReadOptions = {},
): AsyncGenerator<JournalRecord, void, undefined> {
  const { file, path } = await openToRead(journal, files);
  try {
    assertTrusted(path, await file.facts());
    yield* readRecords(path, file, options);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError("local-state", `the journal ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    await file.close();
  }
}

/** The records of an open file; see {@link readJournal}. */
export async function* readRecords(
  path: string,
  file: OpenFile,
  { onTorn, from = BEGINNING, onRead }: ReadRecordsOptions = {},
): AsyncGenerator<JournalRecord, void, undefined> {
  let { seq, hash: prev } = from;
  let bad: { readonly offset: number } | undefined;
  let size = from.offset;
  for await (const { bytes, offset, whole, end } of linesOf(file, from.offset)) {
    size = end;
    if (!bad) {
      const sealed = whole ? unseal(bytes) : undefined;
      const record = sealed && understood(sealed, path);
      if (record && record.seq === seq && record.prev === prev) {
        seq += 1;
        prev = record.hash;
        onRead?.({ offset: end, seq, hash: prev });
        yield record;
        continue;
      }
      bad = { offset };
    }
    const behind = whole ? unsealTail(bytes) : undefined;
    const record = behind && understood(behind, path);
    // Records that were written together are torn together, in whatever order the disk took them. One of a later write is
    // proof that the bad one was there, whole, and was relied upon.
    if (record && !(record.batch <= seq && record.seq > seq)) {
      throw new CliError(
        "local-state",
        `the journal ${path} is damaged: record ${seq}, at byte ${bad.offset}, is not as it was written`,
        {
          hint: [
            "restore it from a backup, if there is one",
            `or look at it, find out what became of its runs, and move it away: mv ${path} ${path}.damaged`,
          ],
        },
      );
    }
  }
  if (bad) onTorn?.({ offset: bad.offset, length: size - bad.offset });
}

function understood(sealed: Sealed, path: string): JournalRecord {
  const record = sealed.format === FORMAT ? toRecord(sealed) : undefined;
  if (record) return record;
  throw new CliError(
    "local-state",
    `the journal ${path} was written by a newer kiloclaw-admin${sealed.tool === undefined ? "" : ` (${sealed.tool})`}, in format ${sealed.format}; this one reads format ${FORMAT}`,
    { hint: "use the newer one" },
  );
}

/** Follows a journal that was closed, and so moved, since it was listed. */
async function openToRead(journal: JournalFile, files: FileLayer): Promise<{ file: OpenFile; path: string }> {
  for (const path of [journal.path, closedPath(journal.stateDirectory, journal.name)]) {
    try {
      return { file: await files.open(path, "read"), path };
    } catch (error) {
      if (isMissing(error) && path === journal.path) continue;
      throw new CliError("local-state", `the journal ${path} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }
  throw new CliError("local-state", `the journal ${journal.path} is gone`);
}

interface Line {
  /** Without the line break. The end only, if it is longer than any record. */
  readonly bytes: Buffer;
  readonly offset: number;
  /** Ends with a line break. */
  readonly whole: boolean;
  /** Where the next one begins. */
  readonly end: number;
}

/**
 * The lines of a file as long as it is now: who appends meanwhile is left to the next reading.
 *
 * @param begin where the first of them begins.
 */
async function* linesOf(file: OpenFile, begin: number): AsyncGenerator<Line, void, undefined> {
  const { size } = await file.facts();
  let rest = Buffer.alloc(0);
  /** Where the line that `rest` belongs to begins. */
  let offset = begin;
  let position = begin;
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, size - position));
    const length = chunk.length === 0 ? 0 : await file.read(chunk, position);
    if (length === 0) break;
    position += length;
    const start = position - length - rest.length;
    const bytes = Buffer.concat([rest, chunk.subarray(0, length)]);
    let from = 0;
    for (let at = bytes.indexOf(LINE_BREAK); at !== -1; at = bytes.indexOf(LINE_BREAK, from)) {
      const end = start + at + 1;
      yield { bytes: bytes.subarray(from, at), offset, whole: true, end };
      from = at + 1;
      offset = end;
    }
    rest = bytes.subarray(from);
    if (rest.length > LONGEST_LINE) rest = rest.subarray(rest.length - LONGEST_LINE);
  }
  if (rest.length > 0) yield { bytes: rest, offset, whole: false, end: position };
}
