import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import type { Run } from "../../runs/run.ts";
import { command, hint, plain } from "../../typed-command.ts";

/**
 * Says which operations on the runs' instances nobody knows the end of, before more is changed there. A journal that cannot be
 * read is said too, and stands in nobody's way.
 */
export async function sayWhatIsOpen(
  { output }: Pick<Context, "output">,
  ledger: Ledger,
  runs: readonly Run[],
): Promise<void> {
  const instances = new Set(runs.map(({ instanceId }) => instanceId));
  const operations = await ledger.open().catch((error: unknown) => {
    if (!(error instanceof CliError)) throw error;
    output.warn(`${error.message}; open operations cannot be listed`);
    return [];
  });
  for (const { intent, writer } of operations) {
    if (!instances.has(intent.instanceId)) continue;
    const what = `a ${intent.action} on instance ${intent.instanceId} was sent at ${intent.at}`;
    output.warn(
      writer
        ? `${what} and is under way (process ${writer.pid})`
        : hint`${plain(what)}, outcome unknown: ${command("runs reconcile", intent.op)}`,
    );
  }
}
