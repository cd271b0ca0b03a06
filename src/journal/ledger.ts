import { wait } from "../async/wait.ts";
import { claimInstance, HeldError, type Claim } from "./claim.ts";
import type { JournalFile } from "./folder.ts";
import { Journal, type Invocation, type OpenOptions } from "./journal.ts";
import { OpenIndex, type IntentFilter, type OpenIntent } from "./open-index.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { allRecords } from "./scan.ts";
import { SharedLook } from "./shared-look.ts";

/** A start takes a second or two; one whose answer is lost holds its claim for minutes. */
const CLAIM_PATIENCE_MS = 5_000;
const CLAIM_PAUSE_MS = 100;

/** A journal that is gone on with, and who is told what stands in it. */
export interface ResumedJournal extends Pick<OpenOptions, "onRecord"> {
  readonly file: JournalFile;
}

export interface KnownRun {
  readonly runId: string;
  readonly op: string;
}

/** What one invocation writes down, and what it needs to know of the others: the way to this machine's journals. */
export class Ledger {
  readonly #stateDirectory: string;
  readonly #invocation: Invocation;
  readonly #openIndex: OpenIndex;
  readonly #resumed: ResumedJournal | undefined;
  readonly #records = new SharedLook(() => this.#readRuns());
  #journal: Promise<Journal> | undefined;
  #written: Journal | undefined;
  #self: Promise<ProcessIdentity> | undefined;

  /** @param resumed a journal of an earlier invocation, to be gone on with in place of one of this invocation's own. */
  constructor(stateDirectory: string, invocation: Invocation, resumed?: ResumedJournal) {
    this.#stateDirectory = stateDirectory;
    this.#invocation = invocation;
    this.#resumed = resumed;
    this.#openIndex = new OpenIndex(stateDirectory, undefined, () => this.#written);
  }

  get origin(): string {
    return this.#invocation.origin;
  }

  /**
   * This invocation's journal: the one that it resumes, else its own, begun when it is first needed: who changes nothing leaves nothing behind.
   *
   * @throws CliError `local-state`
   */
  journal(): Promise<Journal> {
    this.#journal ??= this.#begin();
    return this.#journal;
  }

  async #begin(): Promise<Journal> {
    this.#written = await (this.#resumed
      ? Journal.reopen(this.#resumed.file, this.#invocation, this.#resumed)
      : Journal.create(this.#stateDirectory, this.#invocation));
    return this.#written;
  }

  /**
   * Claims an instance against other processes of this machine. Waits a moment for one that is about to be done.
   *
   * @throws HeldError (`conflict`); CliError `local-state`
   */
  async claim(instanceId: string, op: string, stop: AbortSignal): Promise<Claim> {
    const until = performance.now() + CLAIM_PATIENCE_MS;
    for (;;) {
      try {
        const { origin, pid } = this.#invocation;
        this.#self ??= identify(pid);
        return await claimInstance(this.#stateDirectory, { origin, instanceId }, { pid, op, self: await this.#self });
      } catch (error) {
        if (!(error instanceof HeldError) || performance.now() > until) throw error;
      }
      stop.throwIfAborted();
      await wait(CLAIM_PAUSE_MS, stop);
    }
  }

  /** What was, or may have been, sent to this platform without its end being known, oldest first. */
  open(filter: Omit<IntentFilter, "origin"> = {}): Promise<OpenIntent[]> {
    return this.#openIndex.find({ ...filter, origin: this.origin });
  }

  /** The same for every platform. */
  openAnywhere(): Promise<OpenIntent[]> {
    return this.#openIndex.find();
  }

  /**
   * Writes down what was found out about an earlier invocation's intent, into that invocation's journal.
   *
   * @param decision what a person has decided, if it was a person who settled it.
   * @throws HeldError (`conflict`) when that invocation is still at work; CliError `local-state`
   */
  async settle(
    { journal: file, intent }: OpenIntent,
    { decision, ...finding }: { readonly runId: string | null; readonly result: string; readonly decision?: string },
  ): Promise<void> {
    const journal = await Journal.open(file, this.#invocation);
    const { op, userId, instanceId, runId } = intent;
    try {
      if (decision) await journal.append({ kind: "override", op, userId, instanceId, runId, decision });
      await journal.append({ kind: "reconcile", op, code: null, settled: true, ...finding });
      await journal.end();
    } finally {
      await journal.close();
    }
  }

  /** The runs that are known to belong to operations of this machine, each with its operation. Reads every journal. */
  knownRuns(): Promise<KnownRun[]> {
    return this.#records.take();
  }

  async #readRuns(): Promise<KnownRun[]> {
    const runs: KnownRun[] = [];
    for await (const { record } of allRecords(this.#stateDirectory)) {
      if ((record.kind === "outcome" || record.kind === "reconcile") && record.runId !== null) {
        runs.push({ runId: record.runId, op: record.op });
      }
    }
    return runs;
  }

  /**
   * Ends this invocation's journal, if it was begun.
   *
   * @throws CliError `local-state`
   */
  async close(): Promise<void> {
    const journal = await this.#journal?.catch(() => undefined);
    // From here on others may write it.
    this.#written = undefined;
    await journal?.end();
  }
}
