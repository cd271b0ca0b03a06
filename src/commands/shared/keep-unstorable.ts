import type { Context } from "../../context.ts";
import { messageOf } from "../../errors.ts";
import { runStatusWord } from "../../runs/run.ts";
import { UNSTORABLE, type Polled } from "../../runs/settle/settle.ts";
import { hint } from "../../typed-command.ts";

/**
 * Says that a run had ended which the platform shows as running for good, and keeps its output here: the start that comes next costs
 * the platform its copy. A full disk keeps no start out for that.
 */
export async function keepUnstorable(
  { output, paths }: Pick<Context, "output" | "paths">,
  { run, status }: Polled,
): Promise<void> {
  output.note(`run ${run.id} had ended (${runStatusWord(run)}), but ${UNSTORABLE}`);
  const { keepOutput } = await import("../../runs/output/kept.ts");
  try {
    const { path } = await keepOutput(paths, run.id, status.output ?? "");
    output.note(hint`its output is kept in ${path}`);
  } catch (error) {
    output.warn(`${messageOf(error)}; the new run costs the platform its copy`);
  }
}
