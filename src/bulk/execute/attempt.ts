import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { graceAfter } from "../../async/grace.ts";
import { limit } from "../../async/limit.ts";
import { unlessAborted } from "../../async/on-abort.ts";
import { admin } from "../../contract/procedures.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { startOnRecord, type RecordedOutcome } from "../../runs/start/on-record.ts";
import type { StartOptions } from "../../runs/start/start.ts";
import type { JobTiming } from "../../timing.ts";
import type { Sendable } from "../item.ts";
import type { JobMark } from "../job/records.ts";
import { Adopter } from "./adoption.ts";
import { judge, judgeFailure, judgeLeftBehind, type Judged } from "./verdict.ts";

export interface AttemptOptions {
  /** Tells the job's runs in the platform's rows. */
  readonly mark: JobMark;
  /** Who asks: tells our rows from those of others. */
  readonly admin: { readonly userId: string | undefined; readonly email: string | null };
  /** The prompt of a target. */
  readonly prompt: (target: Sendable) => string;
  /** Aborted: nothing more is started; starts under way are brought to a known end, runs are left to themselves. */
  readonly stop: AbortSignal;
  /** Asked before each start is written down: whether nothing more is to be started. */
  readonly isCalledOff?: (() => Promise<boolean>) | undefined;
  /** A person has decided to send starts where an earlier one may have happened. */
  readonly resendUnknown: boolean;
  /** A run of a target's prompt that an admin has started since then, by the platform's clock, is taken for its start. */
  readonly unlessStartedSince?: Date | undefined;
  /** When to look for the row of a start whose answer was lost, in milliseconds after that. */
  readonly lookAfterMs?: readonly number[] | undefined;
  /** Gets a run that has ended and whose end cannot be stored, before a new one costs the platform its output. */
  readonly onUnstorable?: StartOptions["onUnstorable"];
}

/** Tries starts on a job's targets, each on record, and judges what came of them. */
export class Attempts {
  readonly #api: Api;
  readonly #ledger: Ledger;
  readonly #options: AttemptOptions;
  readonly #timing: JobTiming;
  readonly #onUnrecorded: (why: string) => void;
  readonly #adopter: Adopter;

  /** @param onUnrecorded told when what became of a start could not be written down. */
  constructor(
    api: Api,
    ledger: Ledger,
    options: AttemptOptions,
    { timing, onUnrecorded }: { readonly timing: JobTiming; readonly onUnrecorded: (why: string) => void },
  ) {
    this.#api = api;
    this.#ledger = ledger;
    this.#options = options;
    this.#timing = timing;
    this.#onUnrecorded = onUnrecorded;
    this.#adopter = new Adopter(ledger, options.mark, options.admin.userId);
  }

  /**
   * Tries a start, for no longer than an attempt may take. Never throws.
   *
   * @param stop aborted: it is to come to a known end.
   */
  async try(target: Sendable, stop: AbortSignal): Promise<Judged> {
    const { attemptMs, endMs } = this.#timing;
    const attempt = limit(stop, attemptMs);
    const grace = graceAfter(attempt.signal, endMs);
    try {
      return judge(await unlessAborted(grace.signal, this.#start(target, attempt.signal)));
    } catch (error) {
      if (error instanceof CalledOff) return { verdict: { is: "over" }, pressure: "answered", sent: false };
      // It can send nothing any more, but what it has sent is open.
      if (grace.signal.aborted) return judgeLeftBehind(await this.#isOpen(target));
      const late = attempt.expired && (!(error instanceof ApiError) || error.kind === "interrupted");
      return judgeFailure(late ? tooLate(attemptMs) : error, this.#options.stop.aborted);
    } finally {
      grace.release();
      attempt.release();
    }
  }

  #start(target: Sendable, stop: AbortSignal): Promise<RecordedOutcome> {
    const { admin: me, prompt: promptOf, resendUnknown, unlessStartedSince, isCalledOff, onUnstorable } = this.#options;
    const { lookAfterMs = this.#api.timing.lookAfterMs } = this.#options;
    const { userId, userEmail, instanceId } = target;
    const prompt = promptOf(target);
    const request = { userId, userEmail, instance: { id: instanceId }, prompt, admin: me };
    return startOnRecord(this.#api, request, this.#ledger, {
      stop,
      resendUnknown,
      lookAfterMs,
      insist: false,
      adopt: (rows) => this.#adopter.find(rows, target, prompt),
      unlessStartedSince,
      mayBegin: async () => {
        if (await isCalledOff?.()) throw new CalledOff();
      },
      onUnstorable,
      onUnrecorded: this.#onUnrecorded,
    });
  }

  /** Whether a start on its instance is on record without an end. */
  async #isOpen({ instanceId }: Sendable): Promise<boolean> {
    const journal = await this.#ledger.journal().catch(() => undefined);
    return journal?.open.some((intent) => intent.instanceId === instanceId) === true;
  }
}

/** Nothing more is to be started, and nothing was sent. */
class CalledOff extends Error {}

/** An attempt has taken too long, and nothing was sent. */
function tooLate(afterMs: number): ApiError {
  return new ApiError("unreachable", `the start was not ready to be sent within ${afterMs / 1_000} s`, {
    procedure: admin.startKiloCliRun.path,
    sent: false,
    transient: true,
  });
}
