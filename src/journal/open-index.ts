import { isSamePlatform, type PlatformIdentity } from "../api/origin.ts";
import { eachOf } from "../async/each.ts";
import { SharedLook } from "../async/shared-look.ts";
import { systemFiles, type FileLayer } from "../files/file-layer.ts";
import { noteOpen } from "./chain.ts";
import { writerOf, type Holder } from "./claim.ts";
import { openJournals, type JournalFile } from "./folder.ts";
import { BEGINNING, readJournal, type Mark } from "./read.ts";
import type { IntentRecord } from "./record.ts";

/** Something that was, or may have been, sent without its end being known. */
export interface OpenIntent {
  readonly journal: JournalFile;
  readonly intent: IntentRecord;
  /** The process that is at it now. `null`: nobody is, and it is for `runs reconcile` to find out. */
  readonly writer: Holder | null;
}

export interface IntentFilter {
  readonly platform?: PlatformIdentity | undefined;
  readonly userId?: string | undefined;
  readonly instanceId?: string | undefined;
}

/** A journal that this process writes: what is open in it is known without reading it. */
export interface OwnJournal {
  readonly path: string;
  readonly open: readonly IntentRecord[];
}

/** So many journals are looked at at once: a process may have few files open, and all of them wait for one disk. */
const AT_ONCE = 16;

/** What is known of one journal that has not been closed. */
interface Known {
  readonly file: JournalFile;
  mark: Mark;
  readonly open: Map<string, IntentRecord>;
}

/**
 * What is open on this machine, for whoever looks again and again: of a journal that has grown since, only what is new is
 * read. Costs nothing for journals that were closed. Changes nothing.
 *
 * To settle what is found: `Journal.open` its journal, append a record of kind `reconcile` for the operation, `end`. The intent
 * and what became of it so stand in one file, and no other has to be read to know what is open in it.
 */
export class OpenIndex {
  readonly #stateDirectory: string;
  readonly #files: FileLayer;
  readonly #own: () => OwnJournal | undefined;
  readonly #known = new Map<string, Known>();
  readonly #look = new SharedLook(() => this.#lookAtAll());

  /** @param own the journal that this process writes at that time. */
  constructor(
    stateDirectory: string,
    files: FileLayer = systemFiles,
    own: () => OwnJournal | undefined = () => undefined,
  ) {
    this.#stateDirectory = stateDirectory;
    this.#files = files;
    this.#own = own;
  }

  /**
   * What is open now, oldest first.
   *
   * @throws CliError `local-state` when a journal is damaged or cannot be read: what it holds open cannot be known.
   */
  async find(filter: IntentFilter = {}): Promise<OpenIntent[]> {
    await this.#look.take();
    const matching = [...this.#known.values()].filter((known) => this.#matchesIn(known, filter).length > 0);
    return matching.length === 0 ? [] : this.#look.inTurn(() => this.#lookCloser(matching, filter));
  }

  async #lookAtAll(): Promise<void> {
    const files = await openJournals(this.#stateDirectory, this.#files);
    const names = new Set(files.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    const all = files.map((file) => {
      const known = this.#known.get(file.name) ?? { file, mark: BEGINNING, open: new Map<string, IntentRecord>() };
      this.#known.set(file.name, known);
      return known;
    });
    await eachOf(all, AT_ONCE, (known) => this.#readOn(known));
  }

  async #lookCloser(all: readonly Known[], filter: IntentFilter): Promise<OpenIntent[]> {
    const writers = new Map<Known, Holder | null>();
    await eachOf(all, AT_ONCE, async (known) => {
      // Asked before the last look: what a process finished before it let go is then read, not taken for abandoned.
      writers.set(known, await writerOf(known.file.path, this.#files));
      await this.#readOn(known);
    });
    return all
      .toSorted((a, b) => (a.file.name < b.file.name ? -1 : 1))
      .flatMap((known) => {
        const writer = writers.get(known) ?? null;
        return this.#matchesIn(known, filter).map((intent) => ({ journal: known.file, intent, writer }));
      });
  }

  #matchesIn({ file, open }: Known, filter: IntentFilter): IntentRecord[] {
    const own = this.#own();
    const intents = own?.path === file.path ? own.open : [...open.values()];
    return intents.filter((intent) => matches(intent, filter));
  }

  async #readOn(known: Known): Promise<void> {
    if (this.#own()?.path === known.file.path) return;
    if (known.mark.offset > 0) {
      const { size } = await this.#files.facts(known.file.path).catch(() => ({ size: Infinity }));
      if (size === known.mark.offset) return;
      if (size < known.mark.offset) {
        // Not the file that it was: what is known of it counts for nothing.
        known.mark = BEGINNING;
        known.open.clear();
      }
    }
    const onRead = (mark: Mark) => (known.mark = mark);
    for await (const record of readJournal(known.file, { files: this.#files, from: known.mark, onRead })) {
      noteOpen(known.open, record);
    }
  }
}

function matches(intent: IntentRecord, { platform, userId, instanceId }: IntentFilter): boolean {
  return (
    (platform === undefined || isSamePlatform(intent, platform)) &&
    (userId === undefined || intent.userId === userId) &&
    (instanceId === undefined || intent.instanceId === instanceId)
  );
}
