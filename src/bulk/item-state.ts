/** What became of a target: all states, and what follows from each. */

/** How an item is doing: what colours stand for. */
export type Tone = "good" | "going" | "bad" | "unsure" | "stopped" | "left";

interface StateColumns {
  readonly tone: Tone;
  /** In words, for people. */
  readonly meaning: string;
  /** Which of a job's numbers it counts for, next to `started`; `null` as long as it is not decided what becomes of it. */
  readonly counts: "succeeded" | "failed" | "cancelled" | "unknown" | "skipped" | null;
  /** Whether it is an error of the job. Not: a run that was in progress already, and a machine that was down before. */
  readonly isError: boolean;
  /**
   * Whether `jobs retry-failed` tries it again: what went wrong for a reason that can be mended; what a person may want to have tried
   * again; what must not be, or is nothing to try.
   */
  readonly retried: "yes" | "asked" | "no";
}

/** All states, in the order in which whoever has to act wants them: what went well, what needs somebody, what is not over. */
export const ITEM_STATES = {
  completed: {
    tone: "good",
    meaning: "the run completed",
    counts: "succeeded",
    isError: false,
    retried: "no",
  },
  failed: {
    tone: "bad",
    meaning: "the run failed",
    counts: "failed",
    isError: true,
    retried: "yes",
  },
  unknown: {
    tone: "unsure",
    meaning: "a start was sent; its outcome is unknown",
    counts: "unknown",
    isError: true,
    retried: "no",
  },
  lost: {
    tone: "unsure",
    meaning: "the run ended; its outcome is lost",
    counts: "unknown",
    isError: true,
    retried: "asked",
  },
  cancelled: {
    tone: "stopped",
    meaning: "the run was cancelled",
    counts: "cancelled",
    isError: false,
    retried: "asked",
  },
  refused: {
    tone: "bad",
    meaning: "the platform refused the start, or was out of reach; nothing was started",
    counts: "failed",
    isError: true,
    retried: "yes",
  },
  // Like `skipped`, where that was to be an error.
  conflict: {
    tone: "stopped",
    meaning: "another run was in progress; nothing was started",
    counts: "failed",
    isError: false,
    retried: "yes",
  },
  skipped: {
    tone: "stopped",
    meaning: "another run was in progress, or another command was working there; skipped",
    counts: "skipped",
    isError: false,
    retried: "asked",
  },
  // Nothing was sent, or the platform refused it for that.
  "machine-down": {
    tone: "stopped",
    meaning: "the machine is stopped; nothing was started",
    counts: "skipped",
    isError: false,
    retried: "yes",
  },
  // It could not be planned, see the target.
  unplanned: {
    tone: "left",
    meaning: "there is no single instance to start on",
    counts: "skipped",
    isError: false,
    retried: "no",
  },
  running: {
    tone: "going",
    meaning: "the run is in progress",
    counts: null,
    isError: false,
    retried: "no",
  },
  starting: {
    tone: "going",
    meaning: "a start is under way",
    counts: null,
    isError: false,
    retried: "no",
  },
  waiting: {
    tone: "going",
    meaning: "nothing was sent yet",
    counts: null,
    isError: false,
    retried: "no",
  },
} as const satisfies Record<string, StateColumns>;

export type ItemState = keyof typeof ITEM_STATES;

/** The same, to go through. */
export const STATES_IN_ORDER = Object.keys(ITEM_STATES) as readonly ItemState[];

/** Whether nothing more will become of it. */
export function isDecided(state: ItemState): boolean {
  return ITEM_STATES[state].counts !== null;
}

/** How many targets there are in each state, those that there are none in too. The names are the JSON output's. */
export type Totals = Readonly<Record<ItemState, number>>;

export function totalsOf(states: Iterable<ItemState>): Totals {
  const totals = Object.fromEntries(STATES_IN_ORDER.map((state) => [state, 0])) as Record<ItemState, number>;
  for (const state of states) totals[state] += 1;
  return totals;
}

/** The same in a line, states that no target is in left out: `58 completed, 3 machine-down`. */
export function totalsWords(totals: Totals): string {
  return STATES_IN_ORDER.filter((state) => totals[state] > 0)
    .map((state) => `${totals[state]} ${state}`)
    .join(", ");
}
