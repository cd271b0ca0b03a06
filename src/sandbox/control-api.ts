/** What a running sandbox (`web/control`) and those who ask it (`remote`) say to each other. */

/** What a sandbox says of itself. */
export interface SandboxStatus {
  /** What it is known by; the same after a restart, whatever its port; another one after a reset. */
  readonly id: string;
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
  /** `embedded`, or host and name of the server's database. */
  readonly database: string;
  readonly startedAt: string;
  readonly adminEmail: string;
  readonly users: number;
  readonly instances: number;
  readonly runs: number;
}

/** Where an instance's files are, and whether it is whole. */
export interface InstanceReport {
  readonly id: string;
  readonly directory: string;
  readonly healthy: boolean;
  readonly problems: readonly string[];
}

/** One call that arrived. */
export interface LoggedRequest {
  /** Counts all requests since the sandbox was started. */
  readonly number: number;
  /** ISO-8601. */
  readonly at: string;
  readonly method: string;
  readonly procedure: string;
  /** The user id that the token claims. */
  readonly user: string | null;
  /** HTTP status of the answer; null while it is not finished, 0 when there was none. */
  readonly status: number | null;
}

/** Every fault by name, with what it does. */
export const FAULTS = {
  "lost-answer": "the work is done, then the connection breaks without an answer",
  reset: "the connection breaks before any work",
  hang: "no answer until the client gives up, or until the delay is over",
  slow: "a delay (3000 ms unless told), then the usual answer",
  "429": "too many requests, with Retry-After when it is given",
  "500": "an error of the edge, as JSON",
  "502": "an error of the edge, as JSON",
  "503": "an error of the edge, as JSON",
  "html-error": "502 with an HTML page",
  "empty-error": "500 with an empty body",
  malformed: "200 with broken JSON",
  "wrong-shape": "200 with JSON of another shape",
  truncated: "200 whose body ends before its length",
  "insert-failure": "the run starts on the machine, then its record cannot be written",
  "audit-failure": "the audit log cannot be written",
  "old-controller": "the machine's controller does not know recovery runs",
  "controller-restart": "the machine's controller restarts and forgets its run",
  "instance-status": "the machine's status is the given value, such as `stopped`",
  worker: "the platform's worker answers as the given value says, such as `500`, `down` or `lost-answer`",
} as const;

export type FaultName = keyof typeof FAULTS;

/** What the platform's worker can be made to answer: the `value` of a `worker` fault. */
export const WORKER_ANSWERS = [
  "400",
  "403",
  "404",
  "409",
  "412",
  "429",
  "500",
  "502",
  "503",
  "524",
  "status-500",
  "route-unavailable",
  "not-json",
  "empty-object",
  "down",
  "lost-answer",
  "controller-down",
  "controller-timeout",
] as const;

/** A fault to set. Without a scope it strikes every call; without a count, until it is cleared. */
export interface FaultSpec {
  readonly name: FaultName;
  /** A procedure's full path or last part, such as `startKiloCliRun`; for other routes the path, such as `api/profile`. */
  readonly procedure?: string | undefined;
  /** User id or e-mail: the user a call is about, or else who makes it. */
  readonly user?: string | undefined;
  /** Instance id. */
  readonly instance?: string | undefined;
  /** How many calls it strikes. */
  readonly count?: number | undefined;
  /** Milliseconds to wait before it strikes. */
  readonly delayMs?: number | undefined;
  /** Seconds, for `429`. */
  readonly retryAfter?: number | undefined;
  /** For `instance-status` and `worker`. */
  readonly value?: string | undefined;
}

/** A fault that is set. */
export interface Fault extends FaultSpec {
  readonly id: number;
  /** How many calls it has struck. */
  readonly struck: number;
}
