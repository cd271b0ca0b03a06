import { randomUUID } from "node:crypto";
import type { Api } from "../../api/api.ts";
import { CliError, messageOf } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { NO_PROMPT } from "../../journal/record.ts";
import type { Run } from "../run.ts";
import { cancelRun, type Cancellation, type CancelOptions } from "./cancel.ts";

/** The code on record of a cancel to which nothing came back. */
const UNANSWERED = "no-answer";

export interface RecordedCancelOptions extends CancelOptions {
  /** Told when something could not be written down. The cancel goes on: the customer's machine comes first. */
  readonly onUnrecorded: (why: string) => void;
}

/**
 * Cancels a run on record: that it is about to be cancelled, and what became of it.
 *
 * @throws what `cancelRun` throws.
 */
export async function cancelOnRecord(
  api: Api,
  run: Run,
  ledger: Ledger,
  { onUnrecorded, keepOutput, ...options }: RecordedCancelOptions,
): Promise<Cancellation> {
  const op = randomUUID();
  const { id: runId, userId, instanceId } = run;
  const write = async (entry: Parameters<Awaited<ReturnType<Ledger["journal"]>>["append"]>[0]) => {
    try {
      await (await ledger.journal()).append(entry);
    } catch (error) {
      onUnrecorded(messageOf(error));
    }
  };
  let sending = false;
  try {
    const cancellation = await cancelRun(api, run, {
      ...options,
      keepOutput: async (output) => {
        await keepOutput(output);
        sending = true;
        await write({ kind: "intent", op, userId, instanceId, runId, ...NO_PROMPT });
      },
    });
    const { outcomeUnknown, status } = cancellation.run;
    const result = outcomeUnknown ? "unknown" : status;
    const { lost } = cancellation;
    const code = lost ? (lost.trpcCode ?? UNANSWERED) : null;
    if (sending) await write({ kind: "outcome", op, runId, result, settled: true, code });
    return cancellation;
  } catch (error) {
    if (sending) await write({ kind: "outcome", op, runId, ...failed(error), code: null });
    throw error;
  }
}

/** What is known of a cancel that did not come to its end. */
function failed(error: unknown): { readonly result: string; readonly settled: boolean } {
  const kind = error instanceof CliError ? error.kind : "unexpected";
  switch (kind) {
    case "unreachable":
      return { result: "running", settled: true };
    case "auth":
    case "not-found":
    case "conflict":
    case "usage":
      return { result: "refused", settled: true };
    default:
      return { result: "unknown", settled: false };
  }
}
