import type * as z from "zod";
import type { AuditRecord } from "../audit/records.ts";
import type { Run } from "../runs/run.ts";
import type { diagnosisShape } from "../shapes/diagnosis.ts";
import { command, type Hint } from "../typed-command.ts";

/** One look at a run: what its status poll brought. */
export interface Look {
  readonly at: Date;
  readonly answer: "running" | "ended" | "not-found" | "trouble";
  /** Characters of output; `null` where there was no answer. */
  readonly outputLength: number | null;
  /** Characters that were new since the look before; `null` at the first. */
  readonly grewBy: number | null;
  readonly problem: string | null;
  /** The platform answered, in its own words, and could not get an answer from the machine's controller. */
  readonly controllerFailed: boolean;
}

/** What can be seen of a run, or of a customer without one, from outside. */
export interface Evidence {
  readonly at: Date;
  readonly userId: string;
  readonly userEmail: string | null;
  /** The run as it is now, after the looks. `null`: the customer has none. */
  readonly run: Run | null;
  /** What its row said before anybody asked. */
  readonly recordedStatus: Run["status"] | null;
  /** Milliseconds since the run was started. */
  readonly ageMs: number | null;
  readonly instanceId: string | null;
  readonly instanceDestroyed: boolean;
  /** `null` when there is no instance. */
  readonly machine: "up" | "down" | "unknown" | null;
  /** The platform's word for the machine's state. */
  readonly machineStatus: string | null;
  /** Empty where the machine is not running: asking would mark the run failed. */
  readonly looks: readonly Look[];
  /** How long the run is known to have written nothing, in milliseconds; it may be longer. */
  readonly silentMs: number | null;
  /** Why the outcome is unknown, in the platform's terms. */
  readonly lost: "controller-lost-it" | "superseded" | null;
  /** The next run that was started on the instance after this one. */
  readonly newerRun: Run | null;
  /** Another run of the instance that is shown as running. */
  readonly otherRunning: Run | null;
  /** The platform's audit records about the run, newest first. `null`: they could not be read. */
  readonly audit: readonly AuditRecord[] | null;
  /** A start on the instance, later than this run, that is in the audit log and has no row. */
  readonly unrecordedStart: AuditRecord | null;
  /** When a start was refused because the machine is busy: from who asks, as the platform keeps no record of it. */
  readonly startRefusedAt: Date | null;
  /** It has ended, and the platform cannot store how. */
  readonly unstorable: boolean;
  /** Of a cancelled run without an audit record of its cancel: the cancel that was sent from this machine. */
  readonly ownCancel: { readonly op: string; readonly at: Date } | null;
  /** A start that was sent from this machine to the instance, and whose end nobody learned. */
  readonly unsettledStart: { readonly op: string; readonly at: Date } | null;
}

/** What the audit log calls a cancel that took effect. */
export const CANCEL_ACTION = "kiloclaw.cli_run.cancel";

export type Verdict = z.output<typeof diagnosisShape>["verdict"];

/** Something to do now. */
interface Step {
  readonly what: string;
  readonly command: Hint;
}

export interface Judgement {
  readonly verdict: Verdict;
  /** The verdict in plain words, with what cannot be known. */
  readonly summary: string;
  readonly next: readonly Step[];
}

/**
 * What the evidence says, and what to do next. Exactly one verdict for any evidence, and always a next command.
 *
 * @param duration writes milliseconds for people.
 */
export function verdictOf(evidence: Evidence, duration: (ms: number) => string): Judgement {
  const { run } = evidence;
  const steps = stepsFor(evidence);
  if (!run) return withoutRun(evidence, steps);
  return run.status === "running" ? inProgress(evidence, steps, duration) : ended(evidence, run, steps);
}

/** How exactly the platform's clock is known: its answers give the time to the second. */
const CLOCK_MS = 1_000;

type Steps = ReturnType<typeof stepsFor>;

function step(what: string, ...words: Parameters<typeof command>): Step {
  return { what, command: command(...words) };
}

/** The commands that make sense for this customer, instance and run. */
function stepsFor({ run, userId, instanceId }: Evidence) {
  const user = { "--user": userId };
  const id = run?.id ?? "RUN";
  const where = { ...user, "--instance": instanceId ?? undefined };
  const again = run ? run.id : where;
  return {
    refused: step("if a start is refused as busy", "runs diagnose", again, { "--start-refused": true }),
    watch: step("follow it", "runs watch", id),
    logs: step("its output", "runs logs", id),
    retry: step("start it again, once the cause is fixed", "runs retry", id),
    cancel: step("stop it (its output is kept on this machine first)", "runs cancel", id),
    again: step("look again", "runs diagnose", again),
    longer: step("look for longer", "runs diagnose", id, { "--interval": "30s" }),
    runs: step("the customer's runs", "runs list", user),
    instance:
      instanceId === null
        ? step("see the instance and its machine", "instances list", user)
        : step("see the instance and its machine", "instances show", instanceId),
    startMachine: instanceId === null ? [] : [step("start the machine, on its page", "instances open", instanceId)],
    giveUp: step(
      "give the run up: the platform marks it failed for good",
      "runs settle",
      instanceId === null ? user : { "--instance": instanceId },
      { "--force": true },
    ),
    start: step("start a run", "runs start", where, { "--prompt": "PROMPT" }),
    watchOther: ({ id: other }: Run) =>
      step("another run is in progress on the instance; follow it", "runs watch", other),
  };
}

function withoutRun(
  { userId, userEmail, machine, startRefusedAt, unrecordedStart, unsettledStart }: Evidence,
  steps: Steps,
): Judgement {
  const who = userEmail ?? userId;
  if (unsettledStart && !startRefusedAt && !unrecordedStart) return unsettled(unsettledStart, steps);
  if (startRefusedAt || unrecordedStart) {
    return {
      verdict: "possible-orphan",
      summary: startRefusedAt
        ? `the machine of ${who} refuses a start as busy, and no run is on record: an unrecorded run may be active`
        : `the audit log has a start for ${who} (run ${unrecordedStart?.runId}), and no run is on record: it may be active`,
      next: orphanSteps(steps),
    };
  }
  return {
    verdict: "no-run",
    summary: `no run of ${who} is on record; one that was started without being recorded could not be seen from here`,
    next: machine === "up" ? [steps.start, steps.instance] : [...steps.startMachine, steps.instance, steps.start],
  };
}

/** A start whose end nobody learned may have started a run that has no row, or not yet. */
function unsettled({ op, at }: NonNullable<Evidence["unsettledStart"]>, steps: Steps): Judgement {
  return {
    verdict: "possible-orphan",
    summary: `a start that this machine sent at ${at.toISOString()} was never answered, and no run of it is on record: an unrecorded run may be active`,
    next: [step("look for its run", "runs reconcile", op), steps.runs, steps.instance],
  };
}

/** An unrecorded run has no ID by which it could be watched or cancelled: it ends by itself. */
function orphanSteps(steps: Steps): Step[] {
  return [
    {
      ...steps.again,
      what: "it cannot be watched or cancelled from here and ends by itself; look again before you start",
    },
    steps.runs,
    steps.instance,
  ];
}

function inProgress(evidence: Evidence, steps: Steps, duration: (ms: number) => string): Judgement {
  const { machine, machineStatus, instanceDestroyed, looks, ageMs, silentMs } = evidence;
  if (machine === "down" || machine === null) {
    return {
      verdict: "machine-down",
      summary: instanceDestroyed
        ? "its instance was destroyed, so its outcome is lost; polling it would mark it failed"
        : `its machine is not running (${machineStatus ?? "no machine"}). It was not polled: that would mark it failed for good`,
      next: instanceDestroyed ? [steps.giveUp, steps.instance] : [...steps.startMachine, steps.instance, steps.giveUp],
    };
  }
  const age = duration(ageMs ?? 0);
  const seen = looks.filter(({ answer }) => answer === "running");
  if (seen.length > 0) {
    const written = seen.reduce((sum, { grewBy }) => sum + (grewBy ?? 0), 0);
    if (written > 0) {
      return {
        verdict: "working",
        summary: `running for ${age}, and writing: ${written} more characters while it was watched`,
        next: [steps.watch, steps.cancel],
      };
    }
    const sinceStart = seen.every(({ outputLength }) => outputLength === 0);
    return {
      verdict: "silent",
      summary: sinceStart
        ? `running, and has written nothing since it started ${age} ago`
        : `running for ${age}, and wrote nothing for the ${duration(silentMs ?? 0)} it was watched; how long before that is not known`,
      next: [steps.watch, steps.longer, steps.cancel],
    };
  }
  const trouble = looks.filter(({ answer }) => answer === "trouble");
  if (looks.length > 0 && trouble.length === 0) {
    return {
      verdict: "no-run",
      summary:
        "its row is listed as running, but the platform does not find it under this customer and instance any more",
      next: [steps.runs, steps.instance],
    };
  }
  if (trouble.length > 0 && trouble.every(({ controllerFailed }) => controllerFailed)) {
    return {
      verdict: "controller-silent",
      summary:
        "its machine runs, but the controller on it does not answer about runs: it is too old, or out of reach, and the platform does not say which. Whether the run goes on cannot be seen",
      next: [
        { ...steps.instance, what: "redeploy the instance if this lasts; see it" },
        { ...steps.again, what: "look again first: a machine that is just busy answers later" },
      ],
    };
  }
  const problem = trouble.at(-1)?.problem;
  return {
    verdict: "no-answer",
    summary: `the platform gave no answer about ${machine === "unknown" ? "its machine" : "it"}${problem ? `: ${problem}` : ""}; the run is not affected`,
    next: [steps.again, steps.instance],
  };
}

/** Whose cancel it was, as far as the audit log and this machine's journal tell. */
function cancelledBy({ audit, ownCancel }: Evidence): string {
  const record = audit?.find(({ action }) => action === CANCEL_ACTION);
  if (record) return `by ${record.actorEmail ?? record.actorId ?? "an admin"}`;
  if (ownCancel) {
    return `from this machine at ${ownCancel.at.toISOString()}: the answer was lost, and the platform has no audit record of it`;
  }
  return "without an audit record: by the customer, or by a cancel whose answer was lost";
}

function ended(evidence: Evidence, run: Run, steps: Steps): Judgement {
  const { recordedStatus, lost, newerRun, otherRunning, startRefusedAt, unrecordedStart } = evidence;
  const others = otherRunning ? [steps.watchOther(otherRunning)] : [];
  const exit = run.exitCode === null ? "" : ` with exit code ${run.exitCode}`;
  if (evidence.unstorable && !run.outcomeUnknown) {
    return {
      verdict: "output-unstorable",
      summary: `it has ended (${run.status}${exit}), but the platform cannot store that, because its output has a NUL character: its row stays \`running\` until the next start, which it does not keep out`,
      next: [{ ...steps.logs, what: "its output, as far as the platform tells it" }, ...others, steps.runs],
    };
  }
  // A refusal is explained by a run that is on record, and says nothing of the time before it.
  const ended = (run.completedAt ?? run.startedAt).getTime();
  const busy = startRefusedAt !== null && !otherRunning && startRefusedAt.getTime() + CLOCK_MS >= ended;
  const superseded = lost === "superseded" && !newerRun;
  if (busy || superseded || (unrecordedStart && !otherRunning)) {
    return {
      verdict: "possible-orphan",
      summary: busy
        ? `it has ended (${run.status}), yet a start is refused and no other run is on record: an unrecorded run may be active`
        : superseded
          ? "when it was polled, its machine had moved on to a newer run, and no newer run is on record: an unrecorded run may be active"
          : `the audit log has a later start on its instance (run ${unrecordedStart?.runId}) that is not on record: it may be active`,
      next: orphanSteps(steps),
    };
  }
  const { unsettledStart } = evidence;
  if (unsettledStart && unsettledStart.at >= run.startedAt && !otherRunning) return unsettled(unsettledStart, steps);
  if (run.outcomeUnknown) {
    return {
      verdict: "outcome-unknown",
      summary:
        lost === "superseded"
          ? `it was not polled before run ${newerRun?.id} started on its instance: its outcome is lost`
          : "its machine was restarted or stopped before it was polled: its outcome is lost",
      next: [...others, steps.instance, steps.runs],
    };
  }
  if (recordedStatus === "running") {
    return {
      verdict: "finished-unrecorded",
      summary: `it had ended (${run.status}${exit}) and had not been polled; its outcome is now recorded`,
      next: [steps.logs, ...others],
    };
  }
  switch (run.status) {
    case "completed":
      return { verdict: "completed", summary: `it completed${exit}`, next: [steps.logs, ...others] };
    case "cancelled":
      return {
        verdict: "cancelled",
        summary: `it was cancelled ${cancelledBy(evidence)}; a process that ignores that lives on beside the next run`,
        next: [steps.logs, ...(otherRunning ? others : [steps.refused])],
      };
    default:
      return {
        verdict: "failed",
        summary:
          run.exitCode === null
            ? "it failed without an exit code: it was killed, or could not be run"
            : `it failed${exit}`,
        next: otherRunning ? [steps.logs, ...others] : [steps.logs, steps.retry],
      };
  }
}
