import type { Api } from "../../../api/api.ts";
import type { Context } from "../../../context.ts";
import { CliError, messageOf } from "../../../errors.ts";
import { listRuns, type RunFilter } from "../../../runs/list.ts";
import type { Run } from "../../../runs/run.ts";
import { watchList } from "../../../runs/watch/list.ts";
import { totalsOf } from "../../../runs/watch/watched.ts";
import { runView } from "../../shared/run-view.ts";
import { resolveFilter, type FilterOptions } from "../shared/filter.ts";
import { showMany } from "./follow-many.ts";
import { idWriter, newestFirst, totalsLine, writer } from "./many-view.ts";

export interface FollowListOptions extends FilterOptions {
  /** How many runs to begin with. */
  readonly limit: number;
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
}

/** Shows the list, and what becomes of it, until the user has seen enough. Never touches a run. */
export async function followList(context: Context, options: FollowListOptions): Promise<void> {
  const { output, stop, closed } = context;
  const { limit, interval, timeout } = options;
  if (output.format === "csv" || output.hasFields) {
    throw new CliError("usage", "--watch shows changes, which have neither CSV nor --fields: use -o jsonl");
  }
  const api = await context.api();
  const filter = await resolveFilter(context, api, options);
  // How a person leaves a list that goes on; a signal from elsewhere has cut it off.
  context.handleStop("SIGINT");
  const left = new AbortController();
  const events = watchList(api, {
    find: finder(api, filter, limit, output),
    stop: AbortSignal.any([stop, closed, left.signal]),
    intervalMs: interval,
    timeoutMs: timeout,
  });
  const write = output.format === "id" ? idWriter(output) : writer(output);
  const { all, gone } = await showMany(context, events, {
    order: newestFirst,
    leaving: "leave the list",
    leave: () => left.abort(),
    write,
  });
  if (closed.aborted) return;
  if (gone) {
    await output.list(
      all.map(({ run }) => run),
      runView,
      "no runs",
    );
  }
  if (all.length > 0) output.note(totalsLine(totalsOf(all)));
}

/** Lists the newest runs, and those before them as far as they are new; says when that does not work, and when it does again. */
function finder(api: Api, filter: RunFilter, limit: number, output: Context["output"]) {
  let failing = false;
  let begun = false;
  return async (isKnown: (id: string) => boolean, signal: AbortSignal): Promise<readonly Run[]> => {
    const found: Run[] = [];
    try {
      let metKnown = false;
      for await (const run of listRuns(api, filter, Number.MAX_SAFE_INTEGER, { signal })) {
        if (found.length >= limit && (!begun || metKnown)) break;
        metKnown ||= isKnown(run.id);
        found.push(run);
      }
    } catch (error) {
      if (begun && !failing && !signal.aborted)
        output.warn(`${messageOf(error)}; new runs are missing until there is an answer`);
      failing = true;
      throw error;
    }
    if (failing) output.note("the list is complete again");
    failing = false;
    begun = true;
    return found;
  };
}
