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
  { onCut, ...options }: ListOptions = {},
): AsyncGenerator<Run> {
  const searched = filter.search?.toLowerCase();
  let count = 0;
  let page: Page = { total: 0, left: 0 };
  for await (const run of scanRuns(api, filter, limit, { ...options, onRow: (read) => (page = read) })) {
    if (filter.since && run.startedAt < filter.since()) return;
    if (filter.subject && run.userId !== filter.subject.userId) continue;
    if (filter.adminId !== undefined && run.initiatedByAdminId !== filter.adminId) continue;
    if (filter.instanceId) {
      if (run.instanceId !== filter.instanceId) continue;
      // The platform was asked for the instance, so the text is looked for here.
      if (searched !== undefined && !`${run.userEmail}\n${run.prompt}`.toLowerCase().includes(searched)) continue;
    }
    yield run;
    if (++count < limit) continue;
    if (page.left > 0) onCut?.(isAskedWhole(filter) ? page.total : undefined);
    return;
  }
}

/** Whether the platform's number of runs is that of the runs that pass: it was asked for all that the filter says. */
function isAskedWhole({ subject, instanceId, adminId, since }: RunFilter): boolean {
  return subject === undefined && instanceId === undefined && adminId === undefined && since === undefined;
}

/** How many rows the platform has, and how many of them come after the one that was read. */
interface Page {
  readonly total: number;
  readonly left: number;
}

interface ListOptions extends CallOptions {
  /** Told when there may be more runs than were listed; with the number of all where the platform knows it. */
  readonly onCut?: (total: number | undefined) => void;
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
  { onRow, ...options }: CallOptions & { readonly onRow?: (page: Page) => void } = {},
): AsyncGenerator<Run> {
  const seen = new Set<string>();
  const input = searchInput(filter);
  // With a filter of our own on top, a page that is too small would only mean another one.
  const limit = filter.subject || filter.instanceId || filter.adminId ? PAGE_SIZE : Math.min(PAGE_SIZE, expected);
  for (let offset = 0; ; offset += limit) {
    const { runs, pagination } = await api.query(admin.listAllCliRuns, { ...input, offset, limit }, options);
    for (const [index, row] of runs.entries()) {
      if (seen.has(row.id)) continue;
      seen.add(row.id);
      onRow?.({ total: pagination.total, left: pagination.total - offset - index - 1 });
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
