import { randomUUID } from "node:crypto";
import type { Api } from "../../api/api.ts";
import { callAfter } from "../../async/wait.ts";
import { messageOf } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { promptFacts, type IntentRecord } from "../../journal/record.ts";
import type { Run } from "../run.ts";
import { isStart, reconcileStarts } from "./reconcile.ts";
import { startRun, type StartOptions, type StartOutcome, type StartRequest } from "./start.ts";

/**
 * What can be said of a start that is on record.
 *
 * - `found-earlier`: an earlier invocation had sent the same start and never learned what became of it; here is its run,
 *   and nothing was sent now.
 * - `unsettled`: an earlier start on the instance may have happened. Nothing was sent now: another one needs a person.
 */
export type RecordedOutcome =
  | StartOutcome
  | { readonly state: "found-earlier"; readonly run: Run; readonly earlier: IntentRecord }
  | { readonly state: "unsettled"; readonly intents: readonly IntentRecord[] };

export interface RecordedStartOptions extends Pick<
  StartOptions,
  "stop" | "adopt" | "unlessStartedSince" | "onSearching" | "onThrottled" | "onUnstorable" | "lookAfterMs" | "insist"
> {
  /** A person has decided to send a start although an earlier one may have happened. */
  readonly resendUnknown: boolean;
  /** Called last, before the start is written down. What it throws keeps the start from being sent. */
  readonly mayBegin?: (() => Promise<void>) | undefined;
  /** Told when it takes more than a second to find out what became of earlier starts on the instance. */
  readonly onEarlier?: () => void;
  /** Told when what became of the start cannot be written down. Its intent stays open, to be reconciled. */
  readonly onUnrecorded: (why: string) => void;
}

const EARLIER_MS = 1_000;

/** Whether an outcome leaves nothing to find out. */
const SETTLED: Record<StartOutcome["state"], boolean> = {
  started: true,
  found: true,
  alike: true,
  "machine-down": true,
  refused: true,
  conflict: true,
  "possible-orphan": false,
  unknown: false,
  alarm: false,
  "already-started": true,
  adopted: true,
  several: false,
};

/**
 * Starts a run at most once, on record: no other process of this machine starts on the instance meanwhile, the intent is on
 * the disk before the request leaves, and what became of it before anybody is told.
 *
 * @throws HeldError (`conflict`) when another process is at it; CliError `local-state` when the intent cannot be written, and
 *   so nothing was sent; what `startRun` throws.
 */
export async function startOnRecord(
  api: Api,
  request: StartRequest,
  ledger: Ledger,
  { resendUnknown, mayBegin, onEarlier, onUnrecorded, ...options }: RecordedStartOptions,
): Promise<RecordedOutcome> {
  const op = randomUUID();
  const claim = await ledger.claim(request.instance.id, op, options.stop);
  try {
    const telling = onEarlier && callAfter(EARLIER_MS, onEarlier);
    const earlier = await settleEarlier(api, request, ledger, options.stop).finally(() => telling?.cancel());
    if ("state" in earlier) return earlier;
    if (earlier.unsettled.length > 0 && !resendUnknown) return { state: "unsettled", intents: earlier.unsettled };

    let onRecord = false;
    const about = { userId: request.userId, instanceId: request.instance.id, runId: null };
    const outcome = await startRun(api, request, {
      ...options,
      // Who sends nothing leaves no journal behind.
      prepare: async () => void (await ledger.journal()),
      beforeSending: async ({ known }) => {
        await mayBegin?.();
        const journal = await ledger.journal();
        if (earlier.unsettled.length > 0) {
          await journal.append({ kind: "override", op, ...about, decision: "resend-unknown" });
        }
        // A start that never got a row is not seen: that another one may be sent then is a decision.
        if (options.unlessStartedSince) {
          await journal.append({ kind: "override", op, ...about, decision: "unless-started-since" });
        }
        const prompt = promptFacts(request.prompt);
        const { retryOf, playbook } = request;
        const link = {
          ...(retryOf === undefined ? {} : { retryOf }),
          ...(playbook === undefined ? {} : { playbook }),
        };
        await journal.append({ kind: "intent", op, ...about, ...prompt, ...link, knownRunIds: [...known] });
        onRecord = true;
      },
    });
    if (onRecord) await writeDown(ledger, op, outcome).catch((error: unknown) => onUnrecorded(messageOf(error)));
    return outcome;
  } finally {
    await claim.release();
  }
}

async function writeDown(ledger: Ledger, op: string, outcome: StartOutcome): Promise<void> {
  const journal = await ledger.journal();
  await journal.append({
    kind: "outcome",
    op,
    runId: "run" in outcome ? outcome.run.id : null,
    result: outcome.state,
    settled: SETTLED[outcome.state],
    code: "error" in outcome ? (outcome.error.upstreamCode ?? outcome.error.trpcCode ?? null) : null,
  });
}

/** Finds out what became of earlier starts on the instance, as far as one look at the rows tells. */
async function settleEarlier(
  api: Api,
  { instance, prompt }: StartRequest,
  ledger: Ledger,
  stop: AbortSignal,
): Promise<Extract<RecordedOutcome, { state: "found-earlier" }> | { readonly unsettled: IntentRecord[] }> {
  const opens = (await ledger.open({ instanceId: instance.id })).filter(isStart);
  if (opens.length === 0) return { unsettled: [] };
  const findings = await reconcileStarts(api, ledger, opens, { stop, lookAfterMs: [] });
  const { promptSha256 } = promptFacts(prompt);
  for (const { intent } of opens) {
    const finding = findings.get(intent.op);
    // What was to be started now had been started already.
    if (finding?.state === "found" && intent.promptSha256 === promptSha256) {
      return { state: "found-earlier", run: finding.run, earlier: intent };
    }
  }
  return { unsettled: opens.flatMap(({ intent }) => (findings.get(intent.op)?.state === "found" ? [] : [intent])) };
}
