import type { JournalRecord } from "../../journal/record.ts";

export type JobRecord = Extract<JournalRecord, { kind: "job" }>;

/** What is on record of a start. */
export interface Ending {
  /** In a word, such as `started`, `conflict` or `found`. */
  readonly result: string;
  readonly runId: string | null;
  readonly at: Date;
  /** Nothing is left to find out. */
  readonly settled: boolean;
}

/** What tells a job's runs from others in the platform's rows. */
export interface JobMark {
  /** The ID of its journal. */
  readonly journal: string;
  /** Nothing of it has started before that, by the platform's clock. */
  readonly since: Date;
  /** The admins who work on it, or have worked on it. */
  readonly adminIds: ReadonlySet<string>;
  /** It has gone to another machine, or come from one: any admin may be working on it there. */
  readonly handedOver: boolean;
}

/** How a journal tells that its job goes to another machine, or has come from one: by what it was done, and decided. */
export const EXPORT = "export";
export const IMPORT = "import";

/** The platform's times and the `Date` of its answers are cut to the second, and come from several machines. */
const PLATFORM_SLACK_MS = 5_000;
/** How far this machine's clock may be off where the platform's is not on record. */
const OWN_CLOCK_SLACK_MS = 10 * 60_000;

/** The mark of the job that begins with this record. */
export function markOf(
  journal: string,
  { platformAt, at }: Pick<JobRecord, "platformAt" | "at">,
  { adminIds = [], handedOver = false }: { adminIds?: Iterable<string>; handedOver?: boolean } = {},
): JobMark {
  const since =
    platformAt === undefined ? Date.parse(at) - OWN_CLOCK_SLACK_MS : Date.parse(platformAt) - PLATFORM_SLACK_MS;
  return { journal, since: new Date(since), adminIds: new Set(adminIds), handedOver };
}

/** The state of a job according to its journal, built up record by record. */
export class JobRecords {
  #job: JobRecord | undefined;
  #last: JournalRecord | undefined;
  #invocations = 0;
  #sent = false;
  #handedOver = false;
  readonly #adminIds = new Set<string>();
  /** The instance that an operation is about, until nothing is left to find out. */
  readonly #instances = new Map<string, string>();
  /** What is open on an instance, by operation. More than one: a person had a start sent again. */
  readonly #open = new Map<string, Map<string, Ending | "sent">>();
  readonly #settled = new Map<string, Ending>();

  readonly note = (record: JournalRecord): void => {
    if (record.kind === "job") this.#job ??= record;
    // Nothing of the job is done by that.
    if (record.action === EXPORT || record.action === IMPORT) {
      this.#handedOver = true;
      return;
    }
    // A clock that begins anew is another process.
    if (!this.#last || record.monotonicMs < this.#last.monotonicMs) this.#invocations += 1;
    this.#last = record;
    if (record.adminId !== null) this.#adminIds.add(record.adminId);
    if (record.kind === "intent" && record.instanceId !== null) {
      const { op, instanceId } = record;
      this.#instances.set(op, instanceId);
      this.#open.set(instanceId, (this.#open.get(instanceId) ?? new Map<string, Ending | "sent">()).set(op, "sent"));
    }
    if (record.kind !== "outcome" && record.kind !== "reconcile") return;
    if (record.kind === "outcome" && record.result !== "refused") this.#sent = true;
    const { op, result, runId, settled } = record;
    const adopted = record.kind === "reconcile" ? record.adopted : undefined;
    const instanceId = this.#instances.get(op) ?? adopted?.instanceId;
    if (instanceId === undefined) return;
    const ending = { result, runId, at: new Date(record.at), settled };
    if (!settled) return void this.#open.get(instanceId)?.set(op, ending);
    this.#instances.delete(op);
    this.#open.get(instanceId)?.delete(op);
    // That another start came to nothing does not undo a run.
    if (runId !== null || this.#settled.get(instanceId)?.runId == null) this.#settled.set(instanceId, ending);
  };

  /** The plan's record; `undefined`: the journal is not a job's, or it was interrupted before that. */
  get job(): JobRecord | undefined {
    return this.#job;
  }

  /** The admins who have worked on it. */
  get adminIds(): ReadonlySet<string> {
    return this.#adminIds;
  }

  /** How many processes have written it. */
  get invocations(): number {
    return this.#invocations;
  }

  /** A start came to something else than a refusal, if only to somebody else's run. Those whose end is open are not counted. */
  get sent(): boolean {
    return this.#sent;
  }

  /** See {@link JobMark.handedOver}. */
  get handedOver(): boolean {
    return this.#handedOver;
  }

  /** When something was written down last. */
  get lastAt(): Date | null {
    return this.#last ? new Date(this.#last.at) : null;
  }

  /** When the last invocation ended in order; `null` when it did not. */
  get endedAt(): Date | null {
    return this.#last?.kind === "end" ? new Date(this.#last.at) : null;
  }

  /**
   * What became of the start on this instance; `sent`: nobody knows; `undefined`: none was sent. Of several, one that has a run
   * counts, else one that may have.
   */
  ending(instanceId: string): Ending | "sent" | undefined {
    const settled = this.#settled.get(instanceId);
    if (settled && settled.runId !== null) return settled;
    return [...(this.#open.get(instanceId)?.values() ?? [])].at(-1) ?? settled;
  }
}
