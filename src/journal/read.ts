import { CliError, messageOf } from "../errors.ts";
import { systemFiles, type FileLayer, type OpenFile } from "../files/file-layer.ts";
import { isMissing } from "../files/missing.ts";
import { assertOwnFile } from "../files/own.ts";
import { hint } from "../typed-command.ts";
import { closedPath, openPath, type JournalFile } from "./folder.ts";
import {
  FORMAT,
  GENESIS,
  MAX_LINE_LENGTH,
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

/** As much as is read at once. Of journals that are read side by side, each has one in memory. */
const PIECE = 1 << 16;
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
  const { path, bytes } = await readInPieces(journal, files, options.from?.offset ?? 0);
  try {
    yield* recordsIn(path, bytes, options);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw cannotRead(path, error);
  }
}

/** The bytes of a file as long as it was when it was first looked at. */
interface Bytes {
  readonly size: number;
  /** @returns how many bytes were read; 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
}

/**
 * A journal's bytes, of which the first piece is read at once. No file is open between two pieces: however many journals are
 * read side by side, a process may have only some hundred files open.
 */
async function readInPieces(
  journal: JournalFile,
  files: FileLayer,
  begin: number,
): Promise<{ readonly path: string; readonly bytes: Bytes }> {
  const first = await whileOpen(journal, files, async (file, path) => {
    const facts = await file.facts();
    assertOwnFile(path, facts);
    const piece = Buffer.allocUnsafe(Math.max(0, Math.min(PIECE, facts.size - begin)));
    const length = piece.length === 0 ? 0 : await file.read(piece, begin);
    return { path, size: facts.size, piece: piece.subarray(0, length) };
  });
  const read = async (into: Uint8Array, position: number): Promise<number> => {
    if (position === begin && first.piece.length > 0) return first.piece.copy(into);
    return whileOpen(journal, files, (file) => file.read(into, position));
  };
  return { path: first.path, bytes: { size: first.size, read } };
}

/**
 * The records in a journal's bytes; see {@link readJournal}.
 *
 * @param name what the journal is called where it cannot be read.
 */
export function recordsInBytes(
  name: string,
  bytes: Uint8Array,
  options: ReadRecordsOptions = {},
): AsyncGenerator<JournalRecord, void, undefined> {
  const copy = (into: Uint8Array, position: number) => {
    const piece = bytes.subarray(position, position + into.length);
    into.set(piece);
    return Promise.resolve(piece.length);
  };
  return recordsIn(name, { size: bytes.length, read: copy }, options);
}

/** The records of an open file; see {@link readJournal}. */
export async function* readRecords(
  path: string,
  file: OpenFile,
  options: ReadRecordsOptions = {},
): AsyncGenerator<JournalRecord, void, undefined> {
  const { size } = await file.facts();
  yield* recordsIn(path, { size, read: (into, position) => file.read(into, position) }, options);
}

async function* recordsIn(
  path: string,
  source: Bytes,
  { onTorn, from = BEGINNING, onRead }: ReadRecordsOptions,
): AsyncGenerator<JournalRecord, void, undefined> {
  let { seq, hash: prev } = from;
  let bad: { readonly offset: number } | undefined;
  let size = from.offset;
  for await (const { bytes, offset, whole, end } of linesOf(source, from.offset)) {
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
        `the journal ${path} is damaged: record ${seq}, at byte ${bad.offset}, does not match its checksum`,
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

/** Follows a journal that was closed, or taken up again, and so moved, since it was listed. */
async function whileOpen<T>(
  journal: JournalFile,
  files: FileLayer,
  work: (file: OpenFile, path: string) => Promise<T>,
): Promise<T> {
  const { stateDirectory, name } = journal;
  const places = [journal.path, closedPath(stateDirectory, name), openPath(stateDirectory, name)];
  for (const path of new Set(places)) {
    let file: OpenFile;
    try {
      file = await files.open(path, "read");
    } catch (error) {
      if (isMissing(error)) continue;
      throw cannotRead(path, error);
    }
    try {
      return await work(file, path);
    } catch (error) {
      throw error instanceof CliError ? error : cannotRead(path, error);
    } finally {
      await file.close();
    }
  }
  throw new CliError("local-state", `the journal ${journal.path} cannot be read: it is gone`);
}

function cannotRead(path: string, error: unknown): CliError {
  return new CliError("local-state", `the journal ${path} cannot be read: ${messageOf(error)}`, {
    hint: hint`see who may read it: ls -l ${path}`,
    cause: error,
  });
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
async function* linesOf({ size, read }: Bytes, begin: number): AsyncGenerator<Line, void, undefined> {
  let rest = Buffer.alloc(0);
  /** Where the line that `rest` belongs to begins. */
  let offset = begin;
  let position = begin;
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.max(0, Math.min(PIECE, size - position)));
    const length = chunk.length === 0 ? 0 : await read(chunk, position);
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
    if (rest.length > MAX_LINE_LENGTH) rest = rest.subarray(rest.length - MAX_LINE_LENGTH);
  }
  if (rest.length > 0) yield { bytes: rest, offset, whole: false, end: position };
}
