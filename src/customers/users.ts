import type * as z from "zod";
import type { Api } from "../api/api.ts";
import { users as usersRoute } from "../contract/rest.ts";
import type { userShape } from "../shapes/platform.ts";

/** A user as the tool shows it: a choice of columns, because the platform's row carries secrets. */
export type User = Readonly<z.output<typeof userShape>>;

export const USER_FIELDS = [
  "id",
  "email",
  "name",
  "isAdmin",
  "blockedReason",
  "createdAt",
] as const satisfies readonly (keyof User)[];

const PAGE_SIZE = 100;

/** Users whose e-mail or name contains `text`, or whose ID is `text`. `_` and `%` in it match anything (the platform's rule). `onTotal` is told how many there are. */
export async function searchUsers(
  api: Api,
  text: string,
  limit: number,
  onTotal: (total: number) => void = () => undefined,
): Promise<User[]> {
  const found: User[] = [];
  for (let page = 1; found.length < limit; page++) {
    const pageSize = Math.min(limit, PAGE_SIZE);
    const { users, pagination } = await api.get(usersRoute, {
      search: text,
      page: String(page),
      limit: String(pageSize),
    });
    found.push(...users.map((row) => userOfRow(row)));
    onTotal(pagination.total);
    if (users.length === 0 || page >= (pagination.totalPages ?? page)) break;
  }
  return found.slice(0, limit);
}

function userOfRow(row: z.output<ReturnType<typeof usersRoute.answer>>["users"][number]): User {
  return {
    id: row.id,
    email: row.google_user_email,
    name: row.google_user_name,
    isAdmin: row.is_admin,
    blockedReason: row.blocked_reason,
    createdAt: row.created_at,
  };
}
