import type { Context } from "../../context.ts";
import type { Ledger } from "../../journal/ledger.ts";
import type { Run } from "../../runs/run.ts";

/** Says which operations on the runs' instances nobody knows the end of, before more is changed there. */
export async function sayWhatIsOpen(
  { output }: Pick<Context, "output">,
  ledger: Ledger,
  runs: readonly Run[],
): Promise<void> {
  const instances = new Set(runs.map(({ instanceId }) => instanceId));
  for (const { intent, writer } of await ledger.open()) {
    if (!instances.has(intent.instanceId)) continue;
    const what = `a ${intent.action} on instance ${intent.instanceId} was sent at ${intent.at}`;
    output.warn(
      writer
        ? `${what} and is under way (process ${writer.pid})`
        : `${what}, and nobody knows its end: kiloclaw-admin runs reconcile ${intent.op}`,
    );
  }
}
