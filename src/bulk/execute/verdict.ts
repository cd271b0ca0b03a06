import { ApiError } from "../../api/api-error.ts";
import { admin, UPSTREAM_CODES } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";
import { HeldError } from "../../journal/claim.ts";
import { initiator, type Run } from "../../runs/run.ts";
import type { RecordedOutcome } from "../../runs/start/on-record.ts";
import { usualCause } from "../../runs/start/start.ts";
import type { ItemState } from "../item-state.ts";

/** What a start that was tried means for its target. */
export type Verdict =
  /** `attached`: it is not known to be this job's, and is followed. `adopted`: it was there already. Nothing is sent again. */
  | {
      readonly is: "started";
      readonly run: Run;
      readonly attached: boolean;
      readonly adopted: boolean;
      readonly problem: string | null;
    }
  /** Another run is in progress. `sent`: that was found out by a request, so that another one needs a person. */
  | { readonly is: "in-the-way"; readonly run: Run; readonly sent: boolean; readonly problem: string }
  | { readonly is: "decided"; readonly state: ItemState; readonly problem: string }
  /** Nothing has happened, for a reason that may pass. `ours`: it has to do with this target, where the platform answers. */
  | { readonly is: "again"; readonly ours: boolean; readonly error: ApiError }
  /** Another command of this machine is at work there. */
  | { readonly is: "held"; readonly problem: string }
  /** Nothing has happened, and nothing more is to be sent. `error`: why; absent: everything is to stop. */
  | { readonly is: "over"; readonly error?: unknown };

/** What the answer to a start says about the platform: it works, it throttles, it fails, or it cannot be reached. */
type Pressure = "answered" | "pushed-back" | "failed" | "unreached" | undefined;

export interface Judged {
  readonly verdict: Verdict;
  readonly pressure: Pressure;
  /** A request may have left, and may have been acted on or kept from that by the state of the machine only. */
  readonly sent: boolean;
  /** How long the platform asked to be left alone, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** Judges what can be said of a start. */
export function judge(outcome: RecordedOutcome): Judged {
  switch (outcome.state) {
    case "started":
    case "found":
    case "found-earlier":
      return started(outcome.run);
    case "adopted":
      return started(outcome.run, { adopted: true });
    case "alike":
      return started(outcome.run, { attached: true });
    case "already-started":
      return alreadyStarted(outcome.run, outcome.sent);
    case "refused":
      return judgeRefusal(outcome.error);
    case "machine-down": {
      const { sent, machineStatus } = outcome;
      const problem = sent ? "the platform says that it is not running" : (machineStatus ?? "no machine");
      return answered({ is: "decided", state: "machine-down", problem }, sent);
    }
    case "conflict": {
      const { inTheWay: run, sent } = outcome;
      const problem = `run ${run.id} of ${initiator(run)} is in progress since ${run.startedAt.toISOString()}`;
      return answered({ is: "in-the-way", run, sent, problem }, sent);
    }
    case "possible-orphan":
      return unknown("its machine is busy with a run that no row records; it may be ours", outcome.error);
    case "unknown":
      return unknown(
        `no record of a run was found, which is no proof (${[outcome.error.message, usualCause(outcome.error)].filter(Boolean).join("; ")})`,
        outcome.error,
      );
    case "alarm":
      return unknown(`several runs match the one start: ${idsOf(outcome.runs)}`);
    case "several":
      return unknown(
        `several runs could be this job's start, nothing was sent now; decide with jobs resume JOB --adopt RUN: ${idsOf(outcome.runs)}`,
      );
    case "unsettled": {
      const [first, ...more] = outcome.intents.map(({ op }) => op);
      const ops = `operation ${first}${more.length > 0 ? ` and ${more.length} more` : ""}`;
      return unknown(`an earlier start may have happened, nothing was sent now: ${ops}`);
    }
  }
}

/** Judges what kept a start from being sent. `stopped`: everything is to stop. */
export function judgeFailure(error: unknown, stopped: boolean): Judged {
  const notSent = { pressure: undefined, sent: false };
  if (error instanceof HeldError) return { verdict: { is: "held", problem: error.message }, ...notSent };
  const cutOff = stopped && (!(error instanceof CliError) || error.kind === "interrupted");
  if (cutOff) return { verdict: { is: "over" }, ...notSent };
  // What was asked before the send says nothing of a start.
  if (error instanceof ApiError) return { ...judgeRefusal(error), sent: false };
  return { verdict: { is: "over", error }, ...notSent };
}

/**
 * Judges a start that does not come to its end although it was told to.
 *
 * @param open its request may have been sent.
 */
export function judgeLeftBehind(open: boolean): Judged {
  if (open) return unknown("no answer came, and the search for its run did not finish");
  return {
    verdict: { is: "decided", state: "waiting", problem: "no answer came" },
    pressure: "unreached",
    sent: false,
  };
}

/** Nothing has happened: the platform refused, or could not be asked. */
function judgeRefusal(error: ApiError): Judged {
  if (error.kind === "auth") return { verdict: { is: "over", error }, pressure: undefined, sent: false };
  const { sent, retryAfterMs } = error;
  if (error.transient || !sent) {
    return {
      verdict: { is: "again", ours: isOfMachine(error), error },
      pressure: pressureOf(error),
      sent,
      retryAfterMs,
    };
  }
  const tooOld = error.upstreamCode === UPSTREAM_CODES.routeUnavailable;
  const problem = tooOld ? `the controller on its machine is too old: ${error.message}` : error.message;
  return answered({ is: "decided", state: "refused", problem }, true);
}

function started(run: Run, { attached = false, adopted = false } = {}): Judged {
  return answered({ is: "started", run, attached, adopted, problem: null }, true);
}

function alreadyStarted(run: Run, sent: boolean): Judged {
  const problem = `already started by ${initiator(run)} at ${run.startedAt.toISOString()}`;
  return answered({ is: "started", run, attached: true, adopted: false, problem }, sent);
}

/** The platform has answered all else of that moment: the controller on the target's machine is too old, or out of reach. */
function isOfMachine({ own, httpStatus, procedure }: ApiError): boolean {
  return own && httpStatus === 500 && procedure === admin.getKiloCliRunStatus.path;
}

function answered(verdict: Verdict, sent: boolean): Judged {
  return { verdict, pressure: "answered", sent };
}

function unknown(problem: string, error?: ApiError): Judged {
  const verdict = { is: "decided", state: "unknown", problem } as const;
  return { verdict, pressure: error && pressureOf(error), sent: true, retryAfterMs: error?.retryAfterMs };
}

function idsOf(runs: readonly Run[]): string {
  return runs.map(({ id }) => id).join(", ");
}

function pressureOf({ httpStatus, transient }: ApiError): Pressure {
  if (httpStatus === undefined) return "unreached";
  if (httpStatus === 429) return "pushed-back";
  return transient ? "failed" : undefined;
}
