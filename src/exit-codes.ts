import type { ErrorKind } from "./errors.ts";

/** Every exit code with its meaning: the one list that `help exit-codes`, the README and `main` share. */
export const EXIT_CODES = {
  0: "done; a watched run completed",
  1: "an unexpected error (a bug, or something not below)",
  2: "usage: bad flag or argument, confirmation needed but no TTY and no --yes",
  3: "the run failed (watch, start --watch)",
  4: "not logged in, token refused, or not an admin; nothing was sent",
  5: "not found, or ambiguous",
  6: "conflict: a run is already in progress on that instance, or the instance is not running (the JSON error says sent)",
  7: "outcome unknown: a start may or may not have happened (recorded, can be reconciled), or a run's result was lost",
  8: "still running: --timeout reached, or watch gave up on an unreachable platform",
  9: "partly failed: a bulk job or several targets, a tripped gate, a job stopped after it had sent something, a verification with findings",
  10: "the run was cancelled",
  11: "platform unreachable or refusing (after retries), or something else answers in its place; nothing was changed",
  12: "local state (config, journal, disk) cannot be read or written; nothing was sent (once a job has sent anything: 9, or 7; never 4, 11, 12)",
  129: "hung up (SIGHUP)",
  130: "interrupted (SIGINT, Ctrl-C)",
  143: "terminated (SIGTERM)",
} as const;

export type ExitCode = keyof typeof EXIT_CODES;

const CODE_OF: Record<ErrorKind, ExitCode> = {
  unexpected: 1,
  incompatible: 1,
  unhealthy: 1,
  usage: 2,
  "run-failed": 3,
  auth: 4,
  "not-found": 5,
  ambiguous: 5,
  conflict: 6,
  "outcome-unknown": 7,
  "still-running": 8,
  partial: 9,
  "run-cancelled": 10,
  unreachable: 11,
  "local-state": 12,
  "hung-up": 129,
  interrupted: 130,
  terminated: 143,
};

/** The exit code for a kind of error. */
export function exitCodeOf(kind: ErrorKind): ExitCode {
  return CODE_OF[kind];
}
