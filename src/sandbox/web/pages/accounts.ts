/** Choosing whom the sandbox's pages, or a device, are signed in as. */
import { asc, isNull } from "drizzle-orm";
import { html, raw } from "hono/html";
import type { Database } from "../../database/database.ts";
import { type User, users } from "../../database/schema.ts";
import { type Html, page, tokenField } from "./page.ts";

/** Enough for every seeded account; those added for load are not worth a choice. */
const MAX_ACCOUNTS = 50;

/** The accounts to choose from: a blocked one cannot sign in. */
export function choosableAccounts(database: Database): Promise<User[]> {
  return database
    .select()
    .from(users)
    .where(isNull(users.blocked_reason))
    .orderBy(asc(users.created_at), asc(users.stripe_customer_id))
    .limit(MAX_ACCOUNTS);
}

/** The field `account`. @param others what to call those who are no admins. */
export function accountField(accounts: readonly User[], others: string, chosen?: string): Html {
  const option = (user: User) =>
    html`<option value="${user.id}" ${user.id === chosen ? raw("selected") : ""}>${user.google_user_email}</option>`;
  return html`<label for="account">Sign in as</label>
    <select id="account" name="account">
      <optgroup label="Admins">${accounts.filter((user) => user.is_admin).map(option)}</optgroup>
      <optgroup label="${others}">${accounts.filter((user) => !user.is_admin).map(option)}</optgroup>
    </select>`;
}

/** The page that asks for an account. @param next path and query to go on to. */
export function askForAccount(
  accounts: readonly User[],
  { root, token, next, chosen }: { root: string; token: string; next: string; chosen?: string | undefined },
): Html {
  const body = html`<p>
      Whose pages do you want to see? Admins start and follow runs of all customers; customers see their own.
    </p>
    <form method="post" action="${root}/account">
      ${tokenField({ token })}
      <input type="hidden" name="next" value="${next}" />
      ${accountField(accounts, "Customers", chosen)}
      <button class="first">Continue</button>
    </form>`;
  return page("Choose an account", body);
}
