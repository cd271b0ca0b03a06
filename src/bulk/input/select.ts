/** Entries from what the platform has, instead of from a list of users. */
import type { Api } from "../../api/api.ts";
import { admin, type RunStatus } from "../../contract/procedures.ts";
import { INSTANCE_FIELDS, scanInstances, type InstanceFilter } from "../../customers/instances.ts";
import { CliError } from "../../errors.ts";
import { listRuns, type RunFilter } from "../../runs/list.ts";
import { RUN_FIELDS } from "../../runs/run.ts";
import type { Entry } from "../item.ts";
import type { AddressedEntry } from "../plan/plan.ts";

/** What a prompt can say of an instance, or of the run that was there: the fields of this tool's own lists. */
export const COLUMNS = { instances: INSTANCE_FIELDS, runs: RUN_FIELDS } as const;

/**
 * The instances that pass the filter, oldest first; destroyed ones are left out.
 *
 * @param fields those that are needed later; absent: all.
 * @throws CliError `unreachable` when the list changes so fast that some may be missing.
 */
export async function entriesFromInstances(
  api: Api,
  filter: InstanceFilter,
  fields: readonly string[] = INSTANCE_FIELDS,
): Promise<AddressedEntry[]> {
  const entries: AddressedEntry[] = [];
  const complete = await scanInstances(api, filter, (instance) => {
    if (instance.destroyedAt !== null) return;
    const { id, userId, userEmail } = instance;
    entries.push({
      named: userEmail ?? userId,
      instance: id,
      line: null,
      fields: textsOf(instance, INSTANCE_FIELDS, fields),
      destination: { userId, userEmail, instanceId: id },
    });
  });
  if (complete) return entries;
  throw new CliError("unreachable", "the list of instances changed while it was read, so that some may be missing", {
    hint: "try again",
    retryable: true,
  });
}

/**
 * The instances of the runs that pass the filter, each once, with the newest of its runs.
 *
 * @param fields those that are needed later; absent: all.
 */
export async function entriesFromRuns(
  api: Api,
  filter: RunFilter,
  fields: readonly string[] = RUN_FIELDS,
): Promise<Entry[]> {
  const entries = new Map<string, Entry | AddressedEntry>();
  for await (const run of listRuns(api, filter, Number.MAX_SAFE_INTEGER)) {
    const { userId, userEmail, instanceId } = run;
    const key = instanceId ?? userId;
    if (entries.has(key)) continue;
    const entry = {
      named: userEmail ?? userId,
      instance: instanceId,
      line: null,
      fields: textsOf(run, RUN_FIELDS, fields),
    };
    entries.set(key, instanceId === null ? entry : { ...entry, destination: { userId, userEmail, instanceId } });
  }
  return [...entries.values()];
}

/**
 * How many runs are on record as running that a filter for ended ones may be missing: a run that has ended stays so until
 * somebody asks about it.
 */
export async function countRunning(api: Api, { search, status, initiatedBy }: RunFilter): Promise<number> {
  if (status === undefined || status === "running") return 0;
  const running: RunStatus = "running";
  const filter = { ...(search === undefined ? {} : { search }), ...(initiatedBy === undefined ? {} : { initiatedBy }) };
  return (await api.query(admin.listAllCliRuns, { ...filter, status: running, limit: 1 })).pagination.total;
}

/** The fields as texts, as CSV has them. */
function textsOf<Row extends object>(
  row: Row,
  known: readonly (keyof Row & string)[],
  needed: readonly string[],
): Record<string, string> {
  const names = known.filter((name) => needed.includes(name));
  return Object.fromEntries(names.map((name) => [name, textOf(row[name])]));
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return value instanceof Date ? value.toISOString() : String(value);
}
