import type { Run } from "../run.ts";

/** A run that is watched, as far as it is known. */
export interface Watched {
  readonly run: Run;
  /**
   * `machine-down`: never asked, because that would mark the run failed. `given-up`: no answer for five minutes, or an answer
   * that leaves nothing to wait for; the run may go on.
   */
  readonly state: "running" | "ended" | "machine-down" | "given-up";
  /** The last line of its output that says something, as it came: not safe for a terminal. */
  readonly lastLine: string | null;
  /** Why the last question was not answered; `null` when it was. */
  readonly problem: string | null;
}

export interface Totals {
  readonly running: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly unknown: number;
  readonly machineDown: number;
  readonly givenUp: number;
}

/** What may happen to one of many watched runs. */
export interface WatchedEvent {
  /**
   * - `run`: it is watched from now on, or something in its record changed.
   * - `output-line`: it wrote something, and its last line is another.
   * - `trouble`: it gives no answer; it is not affected. Once, until there is an answer again.
   * - `end`: nothing more will come of it: see its state.
   */
  readonly type: "run" | "output-line" | "trouble" | "end";
  readonly watched: Watched;
}

export type ManyEvent =
  | WatchedEvent
  /** How many there are of each kind, whenever that changes. */
  | { readonly type: "totals"; readonly totals: Totals };

/** How many of the runs there are of each kind. */
export function totalsOf(all: Iterable<Watched>): Totals {
  const totals = { running: 0, completed: 0, failed: 0, cancelled: 0, unknown: 0, machineDown: 0, givenUp: 0 };
  for (const watched of all) totals[kindOf(watched)] += 1;
  return totals;
}

/** What a run counts as. */
export function kindOf({ state, run }: Watched): keyof Totals {
  if (state === "machine-down") return "machineDown";
  if (state === "given-up") return "givenUp";
  if (state === "running") return "running";
  return run.outcomeUnknown ? "unknown" : run.status;
}
