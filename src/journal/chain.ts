import { GENESIS, type IntentRecord, type JournalRecord } from "./record.ts";

/** What a journal's records come to, one after the other: where the next one is linked to, and what is open. */
export class Chain {
  readonly #open = new Map<string, IntentRecord>();
  #seq = 0;
  #hash = GENESIS;
  #intents = 0;
  #ended = false;

  /** How many records there are; the next one's number. */
  get seq(): number {
    return this.#seq;
  }

  /** The last record's hash. */
  get hash(): string {
    return this.#hash;
  }

  get intents(): number {
    return this.#intents;
  }

  /** What may have been sent without its end being known, by operation. */
  get open(): ReadonlyMap<string, IntentRecord> {
    return this.#open;
  }

  /** Nothing was added to an invocation that ended in order. */
  get ended(): boolean {
    return this.#ended;
  }

  /** One more record, which is the next one. */
  note(record: JournalRecord): void {
    this.#seq = record.seq + 1;
    this.#hash = record.hash;
    this.#ended = record.kind === "end";
    if (record.kind === "intent") this.#intents += 1;
    noteOpen(this.#open, record);
  }
}

/** Keeps account of what is open: an intent, until a record about the same operation says that it is settled. */
export function noteOpen(open: Map<string, IntentRecord>, record: JournalRecord): void {
  if (record.kind === "intent") open.set(record.op, record);
  else if ((record.kind === "outcome" || record.kind === "reconcile") && record.settled) open.delete(record.op);
}
