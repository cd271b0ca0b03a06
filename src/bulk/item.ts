/** What a bulk job is made of: its targets as they were planned, and what became of each. */
import type { ItemState } from "./item-state.ts";

/** One thing that the user named, before anybody was asked about it. */
export interface Entry {
  /** The user, as the input has it: e-mail, user ID or instance ID. */
  readonly named: string;
  /** The instance, where the input names one. */
  readonly instance: string | null;
  /** The input's line, from 1; `null` where there are no lines. */
  readonly line: number | null;
  /** What a prompt's `{{field}}` can stand for. */
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * What is known of a target before anything is sent.
 *
 * - `startable`: its machine runs, and no run is on record as running there.
 * - `running`: a run is on record as running; it may have ended unnoticed.
 * - `machine-down`: its machine does not run: nothing will be sent.
 * - `machine-unknown`: nobody can tell; the start will look again.
 * - `no-instance`, `ambiguous`, `unknown`: there is no such instance, or not one only, or no such user.
 * - `duplicate`: the same instance as an earlier target.
 */
export const PLANNED_STATES = [
  "startable",
  "running",
  "machine-down",
  "machine-unknown",
  "no-instance",
  "ambiguous",
  "unknown",
  "duplicate",
] as const;
export type PlannedState = (typeof PLANNED_STATES)[number];

export interface Target extends Entry {
  /** Its number in the plan, from 1. */
  readonly index: number;
  readonly userId: string | null;
  readonly userEmail: string | null;
  readonly instanceId: string | null;
  readonly planned: PlannedState;
  /** More about `planned`, in words: which run and whose, the machine's status, the candidates. From elsewhere: not safe to show. */
  readonly detail: string | null;
}

/** A target that can be sent to: everything about it is known. */
export interface Sendable extends Target {
  readonly userId: string;
  readonly instanceId: string;
}

/** Whether a start may be sent to it: the start itself looks at the machine and at runs in progress once more. */
export function isSendable(target: Target): target is Sendable {
  return ["startable", "running", "machine-unknown"].includes(target.planned);
}

/** A target and what became of it, as far as it is known. */
export interface Item {
  readonly target: Target;
  readonly state: ItemState;
  readonly runId: string | null;
  /** The run is not this job's: it was in progress already, and is followed. */
  readonly attached: boolean;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly exitCode: number | null;
  /** Why it is as it is, in words that may come from elsewhere: not safe to show. Of a failed run, its last line of output. */
  readonly problem: string | null;
}

/** A target before anything was sent. */
export function planned(target: Target): Item {
  const state = isSendable(target) ? "waiting" : target.planned === "machine-down" ? "machine-down" : "unplanned";
  return {
    target,
    state,
    runId: null,
    attached: false,
    startedAt: null,
    completedAt: null,
    exitCode: null,
    problem: state === "waiting" ? null : target.detail,
  };
}
