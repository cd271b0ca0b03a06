import * as z from "zod";
import { writerOf } from "../../journal/claim.ts";
import type { JournalFile } from "../../journal/folder.ts";
import { ITEM_STATES, STATES_IN_ORDER, totalsOf } from "../item-state.ts";
import type { Item } from "../item.ts";
import { readSummary, versionOf, writeSummary } from "./files.ts";
import { readJob, type Job } from "./job.ts";

const date = z.coerce.date();
const summarySchema = z.object({
  id: z.string(),
  state: z.string(),
  profile: z.string(),
  total: z.number(),
  started: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  cancelled: z.number(),
  unknown: z.number(),
  skipped: z.number(),
  createdAt: date,
  endedAt: date.nullable(),
  asOf: date,
  totals: z.record(z.enum(STATES_IN_ORDER), z.number()),
  ticket: z.string().nullable(),
  adminEmail: z.string().nullable(),
});

/**
 * A job in numbers: `totals` by what became of each target, the others in coarser kinds (see `counts` of `ITEM_STATES`). The names are the JSON output's: a public
 * interface.
 */
export type JobSummary = z.output<typeof summarySchema>;

export const SUMMARY_FIELDS = [
  "id",
  "state",
  "profile",
  "total",
  "started",
  "succeeded",
  "failed",
  "cancelled",
  "unknown",
  "skipped",
  "createdAt",
  "endedAt",
  "totals",
  "asOf",
  "ticket",
  "adminEmail",
] as const satisfies readonly (keyof JobSummary)[];

/** Adds a job up. */
export function summarize({ facts, items }: Pick<Job, "facts" | "items">): JobSummary {
  const { id, state, profile, total, createdAt, endedAt, asOf, ticket, adminEmail } = facts;
  return {
    id,
    state,
    profile,
    total,
    ...countItems(items),
    createdAt,
    endedAt,
    totals: totalsOf(items.map((item) => item.state)),
    asOf,
    ticket,
    adminEmail,
  };
}

/** How many targets there are of each kind. */
function countItems(items: readonly Item[]) {
  const counts = { started: 0, succeeded: 0, failed: 0, cancelled: 0, unknown: 0, skipped: 0 };
  for (const { state, runId, attached } of items) {
    if (runId !== null && !attached) counts.started += 1;
    const count = ITEM_STATES[state].counts;
    if (count) counts[count] += 1;
  }
  return counts;
}

/**
 * A job in numbers: as they were added up before, if nothing was written since.
 *
 * @throws CliError `local-state`
 */
export async function summaryOf(file: JournalFile): Promise<JobSummary> {
  const { id, stateDirectory, path } = file;
  const working = (await writerOf(path)) !== null;
  const version = await versionOf(file);
  if (working || version === undefined) return summarize(await readJob(file));
  const kept = summarySchema.safeParse(await readSummary(stateDirectory, id, version)).data;
  if (kept) return kept;
  const summary = summarize(await readJob(file));
  // For the next time; a list is none the worse without it.
  await writeSummary(stateDirectory, id, { version, summary }).catch(() => undefined);
  return summary;
}
