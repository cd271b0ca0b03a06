import type * as z from "zod";
import type { totalsShape, watchEventShape } from "../../shapes/watch-event.ts";
import type { Run } from "../run.ts";

/** What a watch writes of an event where it is read by a program: of one run and of many the same. */
export type PrintedEvent = Readonly<z.output<typeof watchEventShape>>;

/** A run that is watched, as far as it is known. */
export interface Watched {
  readonly run: Run;
  readonly state: Extract<PrintedEvent, { type: "run" }>["state"];
  /** The last line of its output that says something, as it came: not safe for a terminal. */
  readonly lastLine: string | null;
  /** Why the last question was not answered; `null` when it was. */
  readonly problem: string | null;
  /** It has ended, and the platform cannot store how. */
  readonly unstorable: boolean;
}

export type Totals = Readonly<z.output<typeof totalsShape>>;

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
