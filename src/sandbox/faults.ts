/** The bad days that can be staged on a running sandbox: what is set, whom it strikes and how often. */

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

/** One call, as far as a fault's scope can ask. */
export interface FaultTarget {
  readonly procedure: string;
  readonly userId?: string | undefined;
  readonly instanceId?: string | undefined;
}

/** The faults of one sandbox. `user` is expected to be an id here: whoever sets a fault turns an e-mail into one. */
export class Faults {
  #set: Array<Fault & { struck: number }> = [];
  #lastId = 0;

  set(spec: FaultSpec): Fault {
    const fault = { ...spec, id: ++this.#lastId, struck: 0 };
    this.#set.push(fault);
    return fault;
  }

  list(): readonly Fault[] {
    return this.#set.map((fault) => ({ ...fault }));
  }

  clear(): void {
    this.#set = [];
  }

  /** Whether a fault of these names with this kind of scope is set at all: lets callers skip finding out what it needs. */
  any(names: readonly FaultName[], scope?: "user" | "instance"): boolean {
    return this.#set.some((fault) => names.includes(fault.name) && (!scope || fault[scope] !== undefined));
  }

  /** The oldest fault of one of these names that strikes this call, counted; `undefined` when there is none. */
  take(names: readonly FaultName[], target: FaultTarget): Fault | undefined {
    const fault = this.#set.find((candidate) => names.includes(candidate.name) && strikes(candidate, target));
    if (!fault) return undefined;
    fault.struck += 1;
    if (fault.count !== undefined && fault.struck >= fault.count)
      this.#set = this.#set.filter((other) => other !== fault);
    return fault;
  }
}

function strikes(fault: Fault, target: FaultTarget): boolean {
  return (
    (fault.procedure === undefined || namesProcedure(fault.procedure, target.procedure)) &&
    (fault.user === undefined || fault.user === target.userId) &&
    (fault.instance === undefined || fault.instance.toLowerCase() === target.instanceId?.toLowerCase())
  );
}

function namesProcedure(name: string, procedure: string): boolean {
  return name === procedure || procedure.endsWith(`.${name}`) || procedure.endsWith(`/${name}`);
}
