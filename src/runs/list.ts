import type * as z from "zod";
import type { Api, CallOptions } from "../api/api.ts";
import { admin, type RunStatus } from "../contract/procedures.ts";
import type { Subject } from "../customers/subject.ts";
import { runOfRow, type Run } from "./run.ts";

export interface RunFilter {
  readonly subject?: Subject | undefined;
  readonly instanceId?: string | undefined;
  readonly status?: RunStatus | undefined;
  readonly initiatedBy?: "admin" | "user" | undefined;
  /** Only runs that this admin started. */
  readonly adminId?: string | undefined;
  /** Text in the customer's e-mail address, the prompt or the instance ID. */
  readonly search?: string | undefined;
  /** Asked for once the platform has answered, and so has said what time it is there. */
  readonly since?: (() => Date) | undefined;
}

const PAGE_SIZE = 100;

/** The newest `limit` runs that pass the filter, newest first. */
export async function* listRuns(
  api: Api,
  filter: RunFilter,
  limit: number,
  options: CallOptions = {},
): AsyncGenerator<Run> {
  const searched = filter.search?.toLowerCase();
  let count = 0;
  for await (const run of scanRuns(api, filter, limit, options)) {
    if (filter.since && run.startedAt < filter.since()) return;
    if (filter.subject && run.userId !== filter.subject.userId) continue;
    if (filter.adminId !== undefined && run.initiatedByAdminId !== filter.adminId) continue;
    if (filter.instanceId) {
      if (run.instanceId !== filter.instanceId) continue;
      // The platform was asked for the instance, so the text is looked for here.
      if (searched !== undefined && !`${run.userEmail}\n${run.prompt}`.toLowerCase().includes(searched)) continue;
    }
    yield run;
    if (++count >= limit) return;
  }
}

/**
 * Every run that the platform's own search finds for the filter, newest first, page by page. Each run comes once: pages
 * shift when new runs arrive in between.
 *
 * @param expected how many will be read, if that is known: keeps the first page small.
 */
export async function* scanRuns(
  api: Api,
  filter: RunFilter,
  expected = PAGE_SIZE,
  options: CallOptions = {},
): AsyncGenerator<Run> {
  const seen = new Set<string>();
  const input = searchInput(filter);
  // With a filter of our own on top, a page that is too small would only mean another one.
  const limit = filter.subject || filter.instanceId || filter.adminId ? PAGE_SIZE : Math.min(PAGE_SIZE, expected);
  for (let offset = 0; ; offset += limit) {
    const { runs, pagination } = await api.query(admin.listAllCliRuns, { ...input, offset, limit }, options);
    for (const row of runs) {
      if (seen.has(row.id)) continue;
      seen.add(row.id);
      yield runOfRow(row);
    }
    if (runs.length === 0 || offset + runs.length >= pagination.total) return;
  }
}

/** The platform searches one text in e-mail, prompt and instance ID; what it cannot search is filtered here. */
function searchInput({ subject, instanceId, status, initiatedBy, search }: RunFilter) {
  const text = instanceId ?? search ?? subject?.email ?? undefined;
  const input: z.input<typeof admin.listAllCliRuns.input> = {
    ...(text === undefined ? {} : { search: text }),
    ...(status === undefined ? {} : { status }),
    ...(initiatedBy === undefined ? {} : { initiatedBy }),
  };
  return input;
}
