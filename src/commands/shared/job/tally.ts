import type { JobEvent } from "../../../bulk/execute/job-event.ts";
import { isDecided, STATES_IN_ORDER, type ItemState, type Totals } from "../../../bulk/item-state.ts";
import type { Item } from "../../../bulk/item.ts";
import { signatureOf } from "../../../bulk/report/signature.ts";
import { formatDuration } from "../../../terminal/time.ts";

/** What is under way, and the last line that its run wrote. */
export interface UnderWay {
  readonly item: Item;
  readonly since: number;
  readonly line: string | null;
}

/** Failures of one kind. */
export interface Group {
  readonly signature: string;
  readonly count: number;
}

const DECIDED = STATES_IN_ORDER.filter(isDecided);
/** The rate is that of so many latest seconds. */
const RATE_SECONDS = 30;

/** Keeps count of a job while it is done, at a cost that does not grow with its targets. */
export class JobTally {
  readonly underWay = new Map<number, UnderWay>();
  readonly #states = new Map<number, ItemState>();
  readonly #counts = new Map<ItemState, number>();
  readonly #groups = new Map<string, number>();
  readonly #startsOf = new Map<number, number>();
  readonly #began = Date.now();
  readonly total: number;
  /** A start may have left for one of its targets, now or in an earlier invocation. */
  sent: boolean;
  pace: Extract<JobEvent, { type: "pace" }> | undefined;
  stopping: string | undefined;

  /** @param sent whether a start had left before. */
  constructor(items: readonly Item[], { sent = false } = {}) {
    this.total = items.length;
    for (const item of items) this.#note(item);
    this.sent =
      sent || items.some(({ state, runId, attached }) => state === "unknown" || (runId !== null && !attached));
  }

  see(event: JobEvent): void {
    switch (event.type) {
      case "item":
        return this.#note(event.item);
      case "output-line": {
        const { index } = event.item.target;
        const known = this.underWay.get(index);
        if (known) this.underWay.set(index, { ...known, line: event.line });
        return;
      }
      case "sent":
        this.sent = true;
        return;
      case "pace":
        this.pace = event;
        return;
      case "stopping":
        this.stopping = event.why;
    }
  }

  count(state: ItemState): number {
    return this.#counts.get(state) ?? 0;
  }

  /** How many targets nothing more will become of. */
  get decided(): number {
    return DECIDED.reduce((sum, state) => sum + this.count(state), 0);
  }

  get totals(): Totals {
    return Object.fromEntries(STATES_IN_ORDER.map((state) => [state, this.count(state)])) as Totals;
  }

  /** What has gone wrong, the most frequent first. */
  groups(most: number): Group[] {
    return [...this.#groups]
      .map(([signature, count]) => ({ signature, count }))
      .toSorted((a, b) => b.count - a.count)
      .slice(0, most);
  }

  /** Starts a second of late. */
  get rate(): number {
    const now = Math.floor(Date.now() / 1_000);
    for (const second of this.#startsOf.keys()) if (second < now - RATE_SECONDS) this.#startsOf.delete(second);
    const starts = [...this.#startsOf.values()].reduce((sum, n) => sum + n, 0);
    return starts / Math.max(1, Math.min(RATE_SECONDS, (Date.now() - this.#began) / 1_000));
  }

  /** How long until the last start, at the rate of late; `undefined` while nobody can tell. */
  get eta(): string | undefined {
    const waiting = this.count("waiting");
    if (waiting === 0 || this.rate === 0) return undefined;
    return formatDuration((waiting / this.rate) * 1_000);
  }

  #note(item: Item): void {
    const { index } = item.target;
    const before = this.#states.get(index);
    const { state } = item;
    if (before !== undefined) this.#counts.set(before, this.count(before) - 1);
    this.#states.set(index, state);
    this.#counts.set(state, this.count(state) + 1);
    if (state === "starting" || state === "running") {
      const known = this.underWay.get(index);
      this.underWay.set(index, { item, since: known?.since ?? Date.now(), line: known?.line ?? null });
    } else this.underWay.delete(index);
    if (state === "running" && before === "starting") {
      const second = Math.floor(Date.now() / 1_000);
      this.#startsOf.set(second, (this.#startsOf.get(second) ?? 0) + 1);
    }
    const signature = before === state ? null : signatureOf(item);
    if (signature !== null) this.#groups.set(signature, (this.#groups.get(signature) ?? 0) + 1);
  }
}
