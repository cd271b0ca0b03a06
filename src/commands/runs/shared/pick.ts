import type { Api } from "../../../api/api.ts";
import type { Context } from "../../../context.ts";
import { CliError } from "../../../errors.ts";
import { listRuns, type RunFilter } from "../../../runs/list.ts";
import type { Run } from "../../../runs/run.ts";
import { command, hint } from "../../../typed-command.ts";
import { findRuns } from "../../shared/find-runs.ts";
import { resolveFilter, type FilterOptions } from "./filter.ts";

/** Runs that were named or picked. */
export interface Picked {
  readonly runs: readonly Run[];
  /** What they were picked by; absent where they were named. */
  readonly filter?: RunFilter;
}

export interface PickOptions extends Omit<FilterOptions, "status"> {
  readonly verb: "cancel" | "watch";
  /** Whether an option besides `--user` says which runs in progress are meant. */
  readonly all: boolean;
  /** The options that can say so, as they are typed. */
  readonly allFlags: string;
  /** Told what the runs are picked by once the platform has answered, also where none passes. */
  readonly onPicked?: (filter: RunFilter) => void;
}

/**
 * The runs that a command is about: those that are named, each once and in that order, else the runs in progress that pass the
 * filters.
 *
 * @throws CliError `usage`; `not-found`, also where no run passes; `ambiguous`
 */
export async function pickRuns(
  context: Pick<Context, "choose" | "me" | "output">,
  api: Api,
  ids: readonly string[],
  { verb, all, allFlags, onPicked, ...options }: PickOptions,
): Promise<Picked> {
  const narrowed = isNarrowed(options);
  if (ids.length > 0) {
    if (all || narrowed) throw new CliError("usage", `name runs, or pick them with ${allFlags} and filters, not both`);
    const named = await findRuns(context, api, ids, { user: options.user, inProgress: verb === "cancel" });
    return { runs: [...new Map(named.map((run) => [run.id, run])).values()] };
  }
  if (!all && options.user === undefined) {
    throw new CliError("usage", `say which runs to ${verb}`, {
      hint: [
        command(`runs ${verb}`, "RUN"),
        command(`runs ${verb}`, { "--user": "USER" }),
        ...(narrowed ? ["or add --running for all that match, of every customer"] : []),
        hint`see: ${command("runs list", { "--status": "running" })}`,
      ],
    });
  }
  const filter = await resolveFilter(context, api, { ...options, status: "running" });
  const runs: Run[] = [];
  for await (const run of listRuns(api, filter, Number.MAX_SAFE_INTEGER)) runs.push(run);
  onPicked?.(filter);
  if (runs.length > 0) return { runs, filter };
  const { subject } = filter;
  const who = subject && !narrowed ? `${subject.email ?? subject.userId} has no run in progress` : undefined;
  throw new CliError("not-found", who ?? "no run in progress passes the filters", {
    hint: hint`see the runs there were: ${command("runs list", { "--user": subject?.userId })}`,
  });
}

function isNarrowed({ instance, initiatedBy, search, since }: FilterOptions): boolean {
  return [instance, initiatedBy, search, since].some((value) => value !== undefined);
}
