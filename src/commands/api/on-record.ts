import { createHash, randomUUID } from "node:crypto";
import * as z from "zod";
import { ApiError, provesNothingHappened } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { graceAfter } from "../../async/grace.ts";
import type { Procedure } from "../../contract/procedures.ts";
import { CliError } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { NO_PROMPT } from "../../journal/record.ts";
import { command, hint } from "../../typed-command.ts";

/** The code on record of a call to which nothing came back. */
const UNANSWERED = "no-answer";

/** Whom an input is about, as far as it says so in the contract's words. */
const about = z.object({
  userId: z.string().max(200).catch(""),
  instanceId: z.guid().nullable().catch(null),
  runId: z.guid().nullable().catch(null),
});

/**
 * Sends a mutation once, on record: that it is about to be sent, and what came of it.
 *
 * @param stop aborted: an answer that is under way is waited for a few seconds more.
 * @throws ApiError where the platform did nothing; CliError `outcome-unknown` where nobody knows; `local-state` before anything was
 *   sent.
 */
export async function mutateOnRecord(
  api: Api,
  procedure: Procedure & { readonly kind: "mutation" },
  input: unknown,
  { ledger, stop, onUnrecorded }: { ledger: Ledger; stop: AbortSignal; onUnrecorded: (error: unknown) => void },
): Promise<unknown> {
  const op = randomUUID();
  const whom = about.parse(typeof input === "object" && input !== null ? input : {});
  const inputSha256 = createHash("sha256")
    .update(JSON.stringify(input) ?? "")
    .digest("hex");
  const journal = await ledger.journal();
  const call = { procedure: procedure.path, inputSha256 };
  stop.throwIfAborted();
  await journal.append({ kind: "intent", op, ...whom, ...NO_PROMPT, call });
  const record = (result: string, settled: boolean, code: string | null = null) =>
    journal
      .append({ kind: "outcome", op, runId: whom.runId, result, settled, code })
      .then(() => undefined, onUnrecorded);
  const { signal, release } = graceAfter(stop, api.timing.afterStopMs);
  try {
    const answer = await api.mutate(procedure, input, { signal });
    await record("answered", true);
    return answer;
  } catch (error) {
    const code = error instanceof ApiError ? (error.trpcCode ?? UNANSWERED) : UNANSWERED;
    if (error instanceof ApiError && provesNothingHappened(error)) {
      await record(error.sent ? "refused" : "not-sent", true, code);
      throw error;
    }
    await record("unknown", false, code);
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError("outcome-unknown", `${procedure.path} was sent; whether it was done is unknown: ${why}`, {
      hint: [
        "look at what it was to change before you send it again",
        hint`once you know, record it: ${command("runs reconcile", op, { "--close": true, "--reason": "what was found" })}`,
      ],
      cause: error,
      sent: true,
    });
  } finally {
    release();
  }
}
