import { randomUUID } from "node:crypto";
import type { Api } from "../../api/api.ts";
import type { Ledger } from "../../journal/ledger.ts";
import { NO_PROMPT } from "../../journal/record.ts";
import type { Run } from "../run.ts";
import type { Settlement } from "./settle.ts";
import { sweepRuns, type SweepOptions } from "./sweep.ts";

/**
 * Asks about runs whose machines are down, on record: the platform marks each failed for it, for good.
 *
 * @throws CliError `local-state` when that cannot be written down before; what `sweepRuns` throws.
 */
export async function* giveUpRuns(
  api: Api,
  runs: readonly Run[],
  ledger: Ledger,
  options: Omit<SweepOptions, "force" | "ask">,
): AsyncGenerator<Settlement> {
  const journal = await ledger.journal();
  const open = new Map(runs.map(({ id }) => [id, randomUUID() as string]));
  await Promise.all(
    runs.map(({ id: runId, userId, instanceId }) =>
      journal.append({ kind: "intent", op: open.get(runId) ?? "", userId, instanceId, runId, ...NO_PROMPT }),
    ),
  );
  const close = async (runId: string, result: string, settled: boolean) => {
    const op = open.get(runId);
    open.delete(runId);
    if (op) await journal.append({ kind: "outcome", op, runId, result, settled, code: null });
  };
  try {
    for await (const settlement of sweepRuns(api, runs, { ...options, force: true })) {
      const { id, outcomeUnknown, status } = settlement.run;
      await close(id, outcomeUnknown ? "unknown" : status, settlement.state !== "unanswered");
      yield settlement;
    }
  } finally {
    // Those that nobody came to ask about.
    await Promise.all([...open.keys()].map((runId) => close(runId, "not-sent", true)));
  }
}
