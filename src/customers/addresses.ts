/** People's e-mail addresses, where only their IDs are on record. */
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { CONCURRENCY, pooled } from "../async/pool.ts";
import { admin } from "../contract/procedures.ts";
import { searchUsers } from "./users.ts";

/** So many are asked for one by one, at most, where what is missing is no failure. */
const MOST_ASKED = 50;
/** More than these are looked for among the newest runs first: a page has the addresses of a hundred. */
const FEW = 10;
const PAGE_SIZE = 100;
const MAX_PAGES = 5;

/**
 * The e-mail addresses of users by their IDs, of those that the platform knows.
 *
 * @param ids empty ones are nobody's.
 * @param onFailure told when the platform does not answer; what was found until then is returned, and not everybody is asked for where
 *   there are very many. Absent: that is thrown, and everybody is.
 * @throws ApiError
 */
export async function addressesOf(
  api: Api,
  ids: Iterable<string>,
  onFailure?: (error: ApiError) => void,
): Promise<Map<string, string>> {
  const addresses = new Map<string, string>();
  const asked = new Set(ids);
  asked.delete("");
  const ask = async (id: string) => [id, await addressOf(api, id)] as const;
  try {
    if (asked.size > FEW) await addFromRuns(api, asked, addresses);
    const missing = [...asked].filter((id) => !addresses.has(id));
    const wanted = onFailure ? missing.slice(0, MOST_ASKED) : missing;
    for await (const [id, email] of pooled(wanted, CONCURRENCY, ask)) if (email !== undefined) addresses.set(id, email);
  } catch (error) {
    if (!onFailure || !(error instanceof ApiError)) throw error;
    onFailure(error);
  }
  return addresses;
}

/** Many at once: a run has its user's address. */
async function addFromRuns(api: Api, ids: ReadonlySet<string>, addresses: Map<string, string>): Promise<void> {
  for (let page = 0; page < MAX_PAGES && addresses.size < ids.size; page += 1) {
    const input = { limit: PAGE_SIZE, offset: page * PAGE_SIZE };
    const { runs } = await api.query(admin.listAllCliRuns, input);
    for (const { user_id: id, user_email: email } of runs) if (ids.has(id) && email !== null) addresses.set(id, email);
    if (runs.length < PAGE_SIZE) return;
  }
}

/** The search finds parts of names and addresses too. */
async function addressOf(api: Api, userId: string): Promise<string | undefined> {
  const users = await searchUsers(api, userId, Number.MAX_SAFE_INTEGER);
  return users.find(({ id }) => id === userId)?.email;
}
