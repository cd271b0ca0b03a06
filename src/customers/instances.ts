import type * as z from "zod";
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { inWords } from "../api/words.ts";
import { pooled } from "../async/pool.ts";
import { admin } from "../contract/procedures.ts";
import type { instanceShape } from "../shapes/platform.ts";

/** An instance as the tool shows it. `machineStatus` is `null` where it was not asked for or is not known. */
export type Instance = Readonly<z.output<typeof instanceShape>>;

export const INSTANCE_FIELDS = [
  "id",
  "userId",
  "userEmail",
  "organizationId",
  "sandboxId",
  "lifecycleState",
  "machineStatus",
  "createdAt",
  "destroyedAt",
] as const satisfies readonly (keyof Instance)[];

const PAGE_SIZE = 100;

/** So many questions fit one request. */
const REQUEST_SIZE = 50;
/** So many requests are under way at a time: with all their questions, what a sweep may cost the platform. */
const REQUESTS = 3;
/** A page is a hundred rows, so fewer of them make a request. */
const PAGES_PER_REQUEST = 10;

type ListInput = z.input<typeof admin.list.input>;
export type InstanceFilter = Pick<ListInput, "search" | "status" | "imageTag">;

/** Instances, newest first, as the platform's list has them: without the machine's status. `onTotal` is told how many pass the filter. */
export async function listInstances(
  api: Api,
  filter: InstanceFilter,
  limit: number,
  onTotal: (total: number) => void = () => undefined,
): Promise<Instance[]> {
  const found: Instance[] = [];
  while (found.length < limit) {
    const { instances, pagination } = await api.query(admin.list, {
      ...filter,
      offset: found.length,
      limit: Math.min(PAGE_SIZE, limit - found.length),
    });
    found.push(...instances.map((row) => instanceOfRow(row, null)));
    onTotal(pagination.total);
    if (instances.length === 0 || found.length >= pagination.total) break;
  }
  return found;
}

/** How many instances there are, destroyed ones too. */
export async function countInstances(api: Api): Promise<number> {
  return (await api.query(admin.list, { limit: 1 })).pagination.total;
}

/**
 * Goes through all instances that pass the filter, several pages to a request. Oldest first: what is new comes behind the
 * pages that are read already. Each instance is given to `take` once.
 *
 * @returns whether none can have been missed: where many were created at the same moment, the platform has no order for them,
 *   and pages may overlap. Then it was gone through from both ends.
 */
export async function scanInstances(
  api: Api,
  filter: InstanceFilter,
  take: (instance: Instance) => void,
  onProgress: (read: number, total: number) => void = () => undefined,
): Promise<boolean> {
  const seen = new Set<string>();
  for (const sortOrder of ["asc", "desc"] as const) {
    let total = 0;
    const readPage = async (offset: number) => {
      const { instances, pagination } = await api.query(admin.list, { ...filter, sortOrder, offset, limit: PAGE_SIZE });
      total = Math.max(total, pagination.total);
      for (const row of instances) {
        if (seen.has(row.id)) continue;
        seen.add(row.id);
        take(instanceOfRow(row, null));
      }
      onProgress(seen.size, total);
    };
    await readPage(0);
    // Looks at the total as it is by then.
    function* pages() {
      for (let offset = PAGE_SIZE; offset < total; offset += PAGE_SIZE) yield offset;
    }
    for await (const _ of pooled(inPieces(pages(), PAGES_PER_REQUEST), REQUESTS, (piece) =>
      Promise.all(piece.map((offset) => readPage(offset))),
    ));
    if (seen.size >= total) return true;
  }
  return false;
}

/** For each text, the instances that the platform's search finds for it, in as few requests as they fit. */
export async function* searchInstances<T>(
  api: Api,
  items: Iterable<T>,
  textOf: (item: T) => string,
): AsyncGenerator<{ item: T; found: Instance[] }> {
  const search = async (item: T) => ({
    item,
    found: await listInstances(api, { search: textOf(item) }, Number.MAX_SAFE_INTEGER),
  });
  yield* together(items, search);
}

export type LookedAt = Instance & { readonly machineStatusError: string | null };

/**
 * Looks at instances and their machines, in as few requests as they fit. An instance that does not exist, and one that the
 * platform has trouble with, come with the error instead.
 *
 * @throws ApiError that is about more than one instance.
 */
export async function* getInstances(
  api: Api,
  ids: Iterable<string>,
): AsyncGenerator<{ id: string; instance: LookedAt } | { id: string; error: ApiError }> {
  yield* together(ids, async (id) => {
    try {
      return { id, instance: await getInstance(api, id) };
    } catch (error) {
      if (!(error instanceof ApiError) || !(error.transient || error.kind === "not-found")) throw error;
      return { id, error };
    }
  });
}

/** Asks about every item; those that fit one request share it, and a few requests are under way at a time. */
async function* together<T, R>(items: Iterable<T>, ask: (item: T) => Promise<R>): AsyncGenerator<R> {
  const pieces = pooled(inPieces(items, REQUEST_SIZE), REQUESTS, (piece) =>
    Promise.all(piece.map((item) => ask(item))),
  );
  for await (const results of pieces) yield* results;
}

function* inPieces<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let piece: T[] = [];
  for (const item of items) {
    piece.push(item);
    if (piece.length < size) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}

/**
 * One instance with its machine's status.
 *
 * @throws ApiError `not-found` when there is none with this ID.
 */
export async function getInstance(api: Api, id: string, signal?: AbortSignal): Promise<LookedAt> {
  const row = await api.query(admin.get, { id }, { signal });
  return {
    ...instanceOfRow(row, row.workerStatus?.status ?? null),
    machineStatusError: row.workerStatusError === null ? null : inWords(row.workerStatusError),
  };
}

function instanceOfRow(
  row: z.output<typeof admin.list.output>["instances"][number],
  machineStatus: string | null,
): Instance {
  return {
    id: row.id,
    userId: row.user_id,
    userEmail: row.user_email,
    organizationId: row.organization_id,
    sandboxId: row.sandbox_id,
    lifecycleState: row.lifecycle_state,
    machineStatus,
    createdAt: row.created_at,
    destroyedAt: row.destroyed_at,
  };
}
