import type { JournalRecord } from "../journal/record.ts";

export type JobRecord = Extract<JournalRecord, { kind: "job" }>;

/** What is on record of a start. */
export interface Ending {
  /** In a word, such as `started`, `conflict` or `found`. */
  readonly result: string;
  readonly runId: string | null;
  readonly at: Date;
}

/** What a journal says of a job: told record by record, it keeps what matters. */
export class JobRecords {
  #job: JobRecord | undefined;
  #last: JournalRecord | undefined;
  #invocations = 0;
  /** The instance that an operation is about, until nothing is left to find out. */
  readonly #instances = new Map<string, string>();
  readonly #endings = new Map<string, Ending | "sent">();

  readonly note = (record: JournalRecord): void => {
    if (record.kind === "job") this.#job ??= record;
    // A clock that begins anew is another process.
    if (!this.#last || record.monotonicMs < this.#last.monotonicMs) this.#invocations += 1;
    this.#last = record;
    if (record.kind === "intent" && record.instanceId !== null) {
      this.#instances.set(record.op, record.instanceId);
      this.#endings.set(record.instanceId, "sent");
    }
    if (record.kind !== "outcome" && record.kind !== "reconcile") return;
    const instanceId = this.#instances.get(record.op);
    if (instanceId === undefined) return;
    this.#endings.set(instanceId, { result: record.result, runId: record.runId, at: new Date(record.at) });
    if (record.settled) this.#instances.delete(record.op);
  };

  /** The plan's record; `undefined`: the journal is not a job's, or it was interrupted before that. */
  get job(): JobRecord | undefined {
    return this.#job;
  }

  /** How many processes have written it. */
  get invocations(): number {
    return this.#invocations;
  }

  /** When the last invocation ended in order; `null` when it did not. */
  get endedAt(): Date | null {
    return this.#last?.kind === "end" ? new Date(this.#last.at) : null;
  }

  /** What became of the start on this instance; `sent`: nobody knows; `undefined`: none was sent. */
  ending(instanceId: string): Ending | "sent" | undefined {
    return this.#endings.get(instanceId);
  }
}
