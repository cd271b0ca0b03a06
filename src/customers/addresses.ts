/** People's e-mail addresses, where only their IDs are on record. */
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { CONCURRENCY, pooled } from "../async/pool.ts";
import { searchUsers } from "./users.ts";

/**
 * The e-mail addresses of users by their IDs, of those that the platform knows.
 *
 * @param ids empty ones are nobody's.
 * @param onFailure told when the platform does not answer; what was found until then is returned. Absent: that is thrown.
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
    for await (const [id, email] of pooled(asked, CONCURRENCY, ask)) if (email !== undefined) addresses.set(id, email);
  } catch (error) {
    if (!onFailure || !(error instanceof ApiError)) throw error;
    onFailure(error);
  }
  return addresses;
}

/** The search finds parts of names and addresses too. */
async function addressOf(api: Api, userId: string): Promise<string | undefined> {
  const users = await searchUsers(api, userId, Number.MAX_SAFE_INTEGER);
  return users.find(({ id }) => id === userId)?.email;
}
