import { ApiError } from "../api/api-error.ts";
import { UPSTREAM_CODES } from "../contract/procedures.ts";
import { CliError } from "../errors.ts";
import { HeldError } from "../journal/claim.ts";
import { initiator, type Run } from "../runs/run.ts";
import type { RecordedOutcome } from "../runs/start-on-record.ts";
import type { ItemState } from "./item.ts";

/** What a start that was tried means for its target. */
export type Verdict =
  /** `attached`: it is not known to be this job's run. It is followed, and nothing is sent again. */
  | { readonly is: "started"; readonly run: Run; readonly attached: boolean }
  /** Another run is in progress. `sent`: that was found out by a request, so that another one needs a person. */
  | { readonly is: "in-the-way"; readonly run: Run; readonly sent: boolean; readonly problem: string }
  | { readonly is: "decided"; readonly state: ItemState; readonly problem: string }
  /** Nothing has happened, for a reason that may pass. `ours`: it has to do with this target, not with the platform. */
  | { readonly is: "again"; readonly ours: boolean; readonly error: ApiError }
  /** Another command of this machine is at work there. */
  | { readonly is: "held"; readonly problem: string }
  /** Nothing has happened, and nothing more is to be sent. `error`: why; absent: everything is to stop. */
  | { readonly is: "over"; readonly error?: unknown };

/** What a start tells about the platform: that it answers, that it wants less, that there is no way to it. */
type Pressure = "answered" | "pushed-back" | "unreached" | undefined;

export interface Judged {
  readonly verdict: Verdict;
  readonly pressure: Pressure;
  /** How long the platform asked to be left alone, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** Judges what can be said of a start. */
export function judge(outcome: RecordedOutcome): Judged {
  switch (outcome.state) {
    case "started":
    case "found":
    case "found-earlier":
    case "adopted":
      return answered({ is: "started", run: outcome.run, attached: false });
    case "alike":
      return answered({ is: "started", run: outcome.run, attached: true });
    case "refused":
      return judgeRefusal(outcome.error);
    case "machine-down": {
      const { sent, machineStatus } = outcome;
      const problem = sent ? "the platform says that it is not running" : (machineStatus ?? "no machine");
      return answered({ is: "decided", state: "machine-down", problem });
    }
    case "conflict": {
      const { inTheWay: run, sent } = outcome;
      const problem = `run ${run.id} of ${initiator(run)} is in progress since ${run.startedAt.toISOString()}`;
      return answered({ is: "in-the-way", run, sent, problem });
    }
    case "possible-orphan":
      return unknown("its machine is busy with a run that no row records; it may be ours", outcome.error);
    case "unknown":
      return unknown(`no record of a run was found, which is no proof (${outcome.error.message})`, outcome.error);
    case "alarm":
      return unknown(`several runs match the one start: ${outcome.runs.map(({ id }) => id).join(", ")}`);
    case "several": {
      const ids = outcome.runs.map(({ id }) => id).join(", ");
      return unknown(`several runs fit it, nothing was sent now; decide with jobs resume --adopt RUN: ${ids}`);
    }
    case "unsettled": {
      const [first, ...more] = outcome.intents.map(({ op }) => op);
      const ops = `operation ${first}${more.length > 0 ? ` and ${more.length} more` : ""}`;
      return unknown(`an earlier start may have happened, nothing was sent now: ${ops}`);
    }
  }
}

/** Judges what kept a start from being sent. `stopped`: everything is to stop. */
export function judgeFailure(error: unknown, stopped: boolean): Judged {
  if (error instanceof HeldError) return { verdict: { is: "held", problem: error.message }, pressure: undefined };
  const cutOff = stopped && (!(error instanceof CliError) || error.kind === "interrupted");
  if (cutOff) return { verdict: { is: "over" }, pressure: undefined };
  if (error instanceof ApiError) return judgeRefusal(error);
  return { verdict: { is: "over", error }, pressure: undefined };
}

/** Nothing has happened: the platform refused, or could not be asked. */
function judgeRefusal(error: ApiError): Judged {
  if (error.kind === "auth") return { verdict: { is: "over", error }, pressure: undefined };
  if (error.transient || !error.sent) {
    const pressure = pressureOf(error);
    return {
      verdict: { is: "again", ours: pressure === undefined, error },
      pressure,
      retryAfterMs: error.retryAfterMs,
    };
  }
  const tooOld = error.upstreamCode === UPSTREAM_CODES.routeUnavailable;
  const problem = tooOld ? `the controller on its machine is too old: ${error.message}` : error.message;
  return answered({ is: "decided", state: "refused", problem });
}

function answered(verdict: Verdict): Judged {
  return { verdict, pressure: "answered" };
}

function unknown(problem: string, error?: ApiError): Judged {
  const verdict = { is: "decided", state: "unknown", problem } as const;
  return { verdict, pressure: error && pressureOf(error), retryAfterMs: error?.retryAfterMs };
}

function pressureOf({ httpStatus }: ApiError): Pressure {
  if (httpStatus === 429 || httpStatus === 503) return "pushed-back";
  return httpStatus === undefined ? "unreached" : undefined;
}
