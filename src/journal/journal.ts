/**
 * The journal: what this machine has changed on a platform, in append-only files, one for each invocation that changes
 * something, or for each job however often it is resumed.
 *
 * What can be detected: any change of a record, a record that was removed, added or moved within a file, an end that was torn
 * by a crash, an invocation that did not end. What cannot: that a whole file was removed, or cut back to where an earlier
 * invocation had ended; that somebody with this user's rights wrote a file anew. Files are not chained to each other, because
 * that would only move the problem to the newest file. The independent witness is the platform's own audit log, with which
 * `audit verify` compares.
 */
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { CliError, messageOf } from "../errors.ts";
import { orClose, systemFiles, type FileLayer, type OpenFile } from "../files/file-layer.ts";
import { isMissing } from "../files/missing.ts";
import { assertOwnFile } from "../files/own.ts";
import { command } from "../typed-command.ts";
import { Chain } from "./chain.ts";
import { claimJournal, closeCommand, takeOverCommand, type Claim, type Claimant, type Holder } from "./claim.ts";
import { closedPath, journalName, openFolder, openPath, secureFolder, type JournalFile } from "./folder.ts";
import { FORMAT, seal, type Entry, type IntentRecord, type JournalRecord } from "./record.ts";
import { recover, type CutOff } from "./recovery.ts";

/** Who does what on which platform, and why: stands in every record. */
export interface Invocation {
  readonly action: string;
  readonly profile: string;
  readonly origin: string;
  readonly sandbox?: string | undefined;
  readonly adminId: string | null;
  readonly adminEmail?: string | null | undefined;
  readonly ticket: string | null;
  readonly reason: string | null;
  /** This program's version. */
  readonly tool: string;
  /** This process. */
  readonly pid: number;
}

export interface Clock {
  now(): Date;
  /** Milliseconds from an arbitrary start, of a clock that nobody sets. */
  monotonicMs(): number;
}

export interface JournalOptions {
  readonly files?: FileLayer;
  readonly clock?: Clock;
}

export interface OpenOptions extends JournalOptions {
  readonly onRecord?: ((record: JournalRecord) => void) | undefined;
  /** A writer that a person has decided to pass over. It counts all the same when it is seen alive. */
  readonly setAside?: Holder | undefined;
}

const systemClock: Clock = { now: () => new Date(), monotonicMs: () => performance.now() };

/** As much as is written and synced at once. */
const MAX_BATCH = 256;

interface Waiting {
  readonly entry: Entry | { readonly kind: "end" };
  readonly resolve: (record: JournalRecord) => void;
  readonly reject: (error: unknown) => void;
}

/** A journal that this process writes, and nobody else at the same time. */
export class Journal {
  readonly id: string;
  readonly path: string;
  /** What was cut off when it was opened, and where it was kept. */
  readonly torn: CutOff | null;
  readonly #journal: JournalFile;
  readonly #invocation: Invocation;
  readonly #file: OpenFile;
  readonly #claim: Claim;
  readonly #files: FileLayer;
  readonly #clock: Clock;
  readonly #chain: Chain;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #broken: CliError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    journal: JournalFile,
    invocation: Invocation,
    opened: { file: OpenFile; claim: Claim; chain: Chain; torn: CutOff | null },
    { files, clock }: Required<JournalOptions>,
  ) {
    this.id = journal.id;
    this.path = journal.path;
    this.torn = opened.torn;
    this.#journal = journal;
    this.#invocation = invocation;
    this.#file = opened.file;
    this.#claim = opened.claim;
    this.#files = files;
    this.#clock = clock;
    this.#chain = opened.chain;
  }

  /**
   * Begins a journal: a new file, there to stay once this returns.
   *
   * @throws CliError `local-state`
   */
  static async create(stateDirectory: string, invocation: Invocation, options: JournalOptions = {}): Promise<Journal> {
    const { files = systemFiles, clock = systemClock } = options;
    const id = randomUUID();
    const name = journalName(clock.now(), invocation.action, id);
    const folder = openFolder(stateDirectory);
    const path = join(folder, name);
    const journal = { id, name, path, stateDirectory };
    return orLocalState(path, async () => {
      await secureFolder(stateDirectory, folder, files);
      return holding(
        await claimJournal(path, { pid: invocation.pid, op: id }, closeCommand({ op: id }), files),
        async (claim) =>
          orClose(await files.open(path, "create"), async (file) => {
            await file.sync();
            await files.syncDirectory(folder);
            return new Journal(journal, invocation, { file, claim, chain: new Chain(), torn: null }, { files, clock });
          }),
      );
    });
  }

  /**
   * Goes on with a journal, to settle what it left open. A torn end is copied aside and cut off.
   *
   * @param onRecord told of each record that stands in it.
   * @throws HeldError (`conflict`) when a process is writing it.
   * @throws CliError `not-found` when it was closed since it was listed: nothing in it is open.
   * @throws CliError `local-state` when it is damaged or cannot be written.
   */
  static async open(journal: JournalFile, invocation: Invocation, options: OpenOptions = {}): Promise<Journal> {
    const { files = systemFiles } = options;
    const { path } = journal;
    return orLocalState(path, async () => {
      await secureFolder(journal.stateDirectory, dirname(path), files);
      const claim = await claimJournal(
        path,
        claimantOf(journal, invocation, options),
        command("runs reconcile"),
        files,
      );
      return holding(claim, () => Journal.#goOn(journal, invocation, claim, options));
    });
  }

  /**
   * Goes on with a journal that may have been closed, to resume a job: it moves back to where others look for what is open.
   *
   * @throws as {@link open}
   */
  static async reopen(journal: JournalFile, invocation: Invocation, options: OpenOptions = {}): Promise<Journal> {
    const { files = systemFiles } = options;
    const { stateDirectory, name } = journal;
    const path = openPath(stateDirectory, name);
    return orLocalState(path, async () => {
      await secureFolder(stateDirectory, dirname(path), files);
      const wayOut = takeOverCommand(journal.id);
      const claim = await claimJournal(path, claimantOf(journal, invocation, options), wayOut, files);
      return holding(claim, async () => {
        const closed = closedPath(stateDirectory, name);
        const moved = await files.rename(closed, path).then(
          () => true,
          (error: unknown) => {
            if (!isMissing(error)) throw error;
            return false;
          },
        );
        if (moved) {
          await files.syncDirectory(dirname(path));
          await files.syncDirectory(dirname(closed));
        }
        return Journal.#goOn({ ...journal, path }, invocation, claim, options);
      });
    });
  }

  static async #goOn(
    journal: JournalFile,
    invocation: Invocation,
    claim: Claim,
    { files = systemFiles, clock = systemClock, onRecord }: OpenOptions,
  ): Promise<Journal> {
    const { path } = journal;
    return orClose(await openAgain(path, files), async (file) => {
      assertOwnFile(path, await file.facts());
      const recovered = await recover(path, file, { files, now: () => clock.now(), onRecord });
      return new Journal(journal, invocation, { file, claim, ...recovered }, { files, clock });
    });
  }

  /** What may have been sent without its end being known. */
  get open(): readonly IntentRecord[] {
    return [...this.#chain.open.values()];
  }

  /**
   * Appends a record. When this returns, the record survives a power cut. Records that are appended at the same time share
   * the cost of that.
   *
   * @returns the record as it stands in the file.
   * @throws CliError `local-state`: it may or may not be in the file. From then on every append fails.
   * @throws Error when it is not a record; nothing was written.
   */
  append(entry: Entry): Promise<JournalRecord> {
    return this.#enqueue(entry);
  }

  /**
   * Ends the invocation in order. A journal in which nothing is open is closed: it moves to where it costs nothing any more.
   *
   * @throws CliError `local-state`
   */
  async end(): Promise<void> {
    try {
      // Nothing was added to what had ended.
      if (!this.#chain.ended || this.#writing) await this.#enqueue({ kind: "end" });
      if (this.#chain.open.size === 0) {
        const to = closedPath(this.#journal.stateDirectory, this.#journal.name);
        await secureFolder(this.#journal.stateDirectory, dirname(to), this.#files);
        await this.#files.rename(this.path, to);
        await this.#files.syncDirectory(dirname(to));
      }
    } catch (error) {
      throw cannotWrite(this.path, error);
    } finally {
      await this.close();
    }
  }

  /** Leaves the journal as it is, without an end. Never fails; does nothing after `end`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#broken ??= new CliError("local-state", `the journal ${this.path} was closed`);
    await this.#writing;
    await this.#file.close().catch(() => undefined);
    await this.#claim.release();
  }

  #enqueue(entry: Waiting["entry"]): Promise<JournalRecord> {
    return new Promise((resolve, reject) => {
      if (this.#broken) {
        reject(this.#broken);
        return;
      }
      this.#waiting.push({ entry, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** Writes what is waiting, and what comes meanwhile. */
  async #write(): Promise<void> {
    // Whatever is appended in the same turn goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      try {
        if (this.#broken) throw this.#broken;
        for (const { record, resolve } of await this.#writeBatch(batch)) resolve(record);
      } catch (error) {
        // What a failed write or sync has left on the disk cannot be known, and trying again would hide that.
        this.#broken ??= cannotWrite(this.path, error);
        for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(this.#broken);
      }
    }
    // In the same turn in which nothing was waiting: whoever comes later begins anew.
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<(Waiting & { readonly record: JournalRecord })[]> {
    const first = this.#chain.seq;
    const written: (Waiting & ReturnType<typeof seal>)[] = [];
    for (const waiting of batch) {
      try {
        const one = seal(this.#complete(waiting.entry, first));
        this.#chain.note(one.record);
        written.push({ ...waiting, ...one });
      } catch (error) {
        // A caller's mistake is no reason to stop the others.
        waiting.reject(error);
      }
    }
    if (written.length === 0) return written;
    const bytes = Buffer.concat(written.map(({ line }) => line));
    const length = await this.#file.write(bytes);
    if (length !== bytes.length) throw new Error(`only ${length} of ${bytes.length} bytes could be written`);
    await this.#file.sync();
    return written;
  }

  #complete(entry: Waiting["entry"], batch: number): Parameters<typeof seal>[0] {
    const { pid: _, ...invocation } = this.#invocation;
    const { seq, hash: prev, intents, open } = this.#chain;
    const stamp = {
      format: FORMAT,
      ...invocation,
      op: this.id,
      seq,
      batch,
      prev,
      at: this.#clock.now().toISOString(),
      monotonicMs: Math.round(this.#clock.monotonicMs()),
    } as const;
    if (entry.kind === "end") return { ...stamp, ...entry, intents, open: open.size };
    return { ...stamp, ...entry };
  }
}

function claimantOf({ id: op }: JournalFile, { pid }: Invocation, { setAside }: OpenOptions): Claimant {
  return { pid, op, setAside };
}

async function openAgain(path: string, files: FileLayer): Promise<OpenFile> {
  try {
    return await files.open(path, "continue");
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CliError("not-found", `the journal ${path} has been closed: nothing in it is open`, { cause: error });
  }
}

async function holding<T>(claim: Claim, work: (claim: Claim) => Promise<T>): Promise<T> {
  try {
    return await work(claim);
  } catch (error) {
    await claim.release();
    throw error;
  }
}

async function orLocalState<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  return new CliError("local-state", `the journal ${path} cannot be written: ${messageOf(error)}`, {
    hint: "free some space, or fix the folder's permissions; nothing that is not in the journal is sent",
    cause: error,
  });
}
