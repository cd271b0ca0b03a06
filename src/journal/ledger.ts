import type { PlatformIdentity } from "../api/origin.ts";
import { SharedLook } from "../async/shared-look.ts";
import { callAfter, wait } from "../async/wait.ts";
import { systemFiles } from "../files/file-layer.ts";
import type { Timing } from "../timing.ts";
import { claimInstance, HeldError, instanceHolders, withdrawInstances, type Claim, type Holder } from "./claim.ts";
import { allJournals, type JournalFile } from "./folder.ts";
import { Journal, type Invocation, type OpenOptions } from "./journal.ts";
import { OpenIndex, type IntentFilter, type OpenIntent } from "./open-index.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { BEGINNING, readJournal, type Mark } from "./read.ts";

/** What takes longer is said. */
const SLOW_MS = 1_000;

/** A journal that is gone on with, who is told what stands in it, and the writer whom a person has set aside. */
export interface ResumedJournal extends Pick<OpenOptions, "onRecord" | "setAside"> {
  readonly file: JournalFile;
}

export interface KnownRun {
  readonly runId: string;
  readonly op: string;
  /** The ID of the journal in which it stands. */
  readonly journal: string;
}

/** What was read of one journal. */
interface ReadRuns {
  mark: Mark;
  runs: KnownRun[];
  /** Operations on runs that were there before, such as cancels: those runs belong to the starts that made them. */
  readonly later: Set<string>;
}

export interface LedgerOptions {
  readonly timing: Pick<Timing, "claim">;
  readonly resumed?: ResumedJournal | undefined;
  readonly onSlow?: (() => Promise<{ stop(): void }>) | undefined;
}

/** What one invocation writes down, and what it needs to know of the others: the way to this machine's journals. */
export class Ledger {
  readonly #stateDirectory: string;
  readonly #invocation: Invocation;
  readonly #timing: Pick<Timing, "claim">;
  readonly #openIndex: OpenIndex;
  readonly #resumed: ResumedJournal | undefined;
  readonly #onSlow: (() => Promise<{ stop(): void }>) | undefined;
  readonly #records = new SharedLook(() => this.#readRuns());
  /** What was read of each journal, by its file's name. */
  readonly #runs = new Map<string, ReadRuns>();
  #journal: Promise<Journal> | undefined;
  #written: Journal | undefined;
  #self: Promise<ProcessIdentity> | undefined;

  /**
   * @param options `resumed`: a journal of an earlier invocation, to be gone on with in place of one of this invocation's own.
   *   `onSlow` says that journals are being read, where that takes longer than a moment.
   */
  constructor(stateDirectory: string, invocation: Invocation, { timing, resumed, onSlow }: LedgerOptions) {
    this.#timing = timing;
    this.#onSlow = onSlow;
    this.#stateDirectory = stateDirectory;
    this.#invocation = invocation;
    this.#resumed = resumed;
    this.#openIndex = new OpenIndex(stateDirectory, undefined, () => this.#written);
  }

  /** The platform that this invocation is about. */
  get platform(): PlatformIdentity {
    return this.#invocation;
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
    const journal = await (this.#resumed
      ? Journal.reopen(this.#resumed.file, this.#invocation, this.#resumed)
      : Journal.create(this.#stateDirectory, this.#invocation));
    this.#written = journal;
    const holder = this.#resumed?.setAside;
    if (holder) await this.#setAside(journal, holder, { op: journal.id, userId: "", instanceId: null, runId: null });
    return journal;
  }

  /** On record before anything follows from it: until then everybody else meets the holder. */
  async #setAside(
    journal: Journal,
    holder: Holder,
    about: {
      readonly op: string;
      readonly userId: string;
      readonly instanceId: string | null;
      readonly runId: string | null;
    },
  ): Promise<void> {
    const { pid, host, since } = holder;
    const decision = "set-aside";
    await journal.append({
      kind: "override",
      ...about,
      decision,
      holder: { pid, host, since: since.toISOString() },
    });
    await withdrawInstances(this.#stateDirectory, holder);
  }

  /**
   * Sets aside the process that is writing an earlier invocation's journal, on record there: a person knows that it has ended.
   * What it holds counts no more, and what it left open can be settled.
   *
   * @param holder as {@link open} has named it.
   * @throws HeldError (`conflict`) when it is seen alive; CliError `local-state`
   */
  async setAside({ journal: file, intent }: OpenIntent, holder: Holder): Promise<void> {
    const journal = await Journal.open(file, this.#invocation, { setAside: holder });
    try {
      const { op, userId, instanceId, runId } = intent;
      await this.#setAside(journal, holder, { op, userId, instanceId, runId });
    } finally {
      await journal.close();
    }
  }

  /**
   * Sets aside a process that has claimed an instance and sent nothing, on record in this invocation's journal.
   *
   * @throws HeldError (`conflict`) when it is seen alive; CliError `local-state`
   */
  async setClaimAside(holder: Holder): Promise<void> {
    const instanceId = holder.instance?.instanceId ?? null;
    await this.#setAside(await this.journal(), holder, { op: holder.op, userId: "", instanceId, runId: null });
  }

  /** The processes that are at work on instances, of whichever platform. */
  claims(): Promise<Holder[]> {
    return instanceHolders(this.#stateDirectory);
  }

  /**
   * Claims an instance against other processes of this machine. Waits a moment for one that is about to be done.
   *
   * @throws HeldError (`conflict`); CliError `local-state`
   */
  async claim(instanceId: string, op: string, stop: AbortSignal): Promise<Claim> {
    const until = performance.now() + this.#timing.claim.patienceMs;
    for (;;) {
      try {
        const { origin, pid } = this.#invocation;
        this.#self ??= identify(pid);
        return await claimInstance(this.#stateDirectory, { origin, instanceId }, { pid, op, self: await this.#self });
      } catch (error) {
        if (!(error instanceof HeldError) || performance.now() > until) throw error;
      }
      stop.throwIfAborted();
      await wait(this.#timing.claim.pauseMs, stop);
    }
  }

  /** What was, or may have been, sent to this platform without its end being known, oldest first. */
  open(filter: Omit<IntentFilter, "platform"> = {}): Promise<OpenIntent[]> {
    return this.#read(this.#openIndex.find({ ...filter, platform: this.platform }));
  }

  /** The same for every platform. */
  openAnywhere(): Promise<OpenIntent[]> {
    return this.#read(this.#openIndex.find());
  }

  async #read<T>(reading: Promise<T>): Promise<T> {
    let said: Promise<{ stop(): void }> | undefined;
    const timer = callAfter(SLOW_MS, () => (said = this.#onSlow?.()));
    try {
      return await reading;
    } finally {
      timer.cancel();
      (await said)?.stop();
    }
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

  /**
   * The runs that are known to belong to starts of this machine, each with its operation, as of now. That it has cancelled a run does
   * not tell whose start it was. Reads every journal once, and then only what was added to them.
   *
   * @throws CliError `local-state`
   */
  knownRuns(): Promise<KnownRun[]> {
    return this.#read(this.#records.take());
  }

  async #readRuns(): Promise<KnownRun[]> {
    const found: KnownRun[] = [];
    for (const file of await allJournals(this.#stateDirectory)) {
      const known = this.#runs.get(file.name) ?? { mark: BEGINNING, runs: [], later: new Set() };
      this.#runs.set(file.name, known);
      // One that was moved meanwhile is found by whoever reads it.
      const { size } = await systemFiles.facts(file.path).catch(() => ({ size: Infinity }));
      if (size < known.mark.offset) Object.assign(known, { mark: BEGINNING, runs: [] });
      if (size !== known.mark.offset) {
        const onRead = (mark: Mark) => (known.mark = mark);
        for await (const record of readJournal(file, { from: known.mark, onRead })) {
          if (record.kind === "intent" && record.runId !== null) known.later.add(record.op);
          if (record.kind !== "outcome" && record.kind !== "reconcile") continue;
          const { runId, op } = record;
          if (runId !== null && !known.later.has(op)) known.runs.push({ runId, op, journal: file.id });
        }
      }
      for (const run of known.runs) found.push(run);
    }
    return found;
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
