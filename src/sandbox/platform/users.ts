/** The admin's user search: `GET /admin/api/users`. */
import { asc, count, eq, ilike, or } from "drizzle-orm";
import type { Database } from "../database/database.ts";
import { type User, users } from "../database/schema.ts";

const DEFAULT_LIMIT = 25;
const MAX_LIMIT = 100;

/** The user with this id or e-mail (exact, any case). */
export async function findUser(database: Database, idOrEmail: string): Promise<User | undefined> {
  const [byId] = await database.select().from(users).where(eq(users.id, idOrEmail));
  if (byId) return byId;
  const everyone = await database.select().from(users).where(ilike(users.google_user_email, idOrEmail));
  return everyone.find(({ google_user_email }) => google_user_email.toLowerCase() === idOrEmail.toLowerCase());
}

/**
 * One page of users by part of e-mail or name, or by exact id. As on the platform, `_` and `%` are wildcards, the rows hold
 * two secrets, and a limit that is no number means all rows.
 */
export async function searchUsers(database: Database, query: URLSearchParams) {
  const search = query.get("search")?.trim();
  const pageNumber = Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1);
  const limit = Math.min(MAX_LIMIT, Math.max(1, Number.parseInt(query.get("limit") ?? String(DEFAULT_LIMIT), 10)));
  const where = search
    ? or(
        ilike(users.google_user_email, `%${search}%`),
        ilike(users.google_user_name, `%${search}%`),
        eq(users.id, search),
        eq(users.stripe_customer_id, search),
      )
    : undefined;
  const select = database
    .select()
    .from(users)
    .where(where)
    .orderBy(asc(users.created_at), asc(users.stripe_customer_id));
  const rows = await (Number.isNaN(limit) ? select : select.limit(limit).offset((pageNumber - 1) * limit));
  const [counted] = await database.select({ total: count() }).from(users).where(where);
  const total = counted?.total ?? 0;
  return {
    users: rows.map(userRow),
    // NaN becomes null in JSON.
    pagination: { page: pageNumber, limit, total, totalPages: Math.ceil(total / limit) },
  };
}

/** All columns that the platform answers with; the sandbox keeps those that mean something here. */
function userRow(user: User) {
  const email = user.google_user_email.toLowerCase();
  return {
    id: user.id,
    google_user_email: user.google_user_email,
    google_user_name: user.google_user_name,
    google_user_image_url: user.google_user_image_url,
    created_at: user.created_at,
    updated_at: user.updated_at,
    hosted_domain: user.hosted_domain,
    microdollars_used: 0,
    kilo_pass_threshold: null,
    stripe_customer_id: user.stripe_customer_id,
    app_store_account_token: user.app_store_account_token,
    is_admin: user.is_admin,
    total_microdollars_acquired: 5_000_000,
    next_credit_expiration_at: null,
    has_validation_stytch: null,
    has_validation_novel_card_with_hold: false,
    blocked_reason: user.blocked_reason,
    blocked_at: null,
    blocked_by_kilo_user_id: null,
    api_token_pepper: user.api_token_pepper,
    web_session_pepper: user.web_session_pepper,
    auto_top_up_enabled: false,
    is_bot: false,
    kiloclaw_early_access: user.kiloclaw_early_access,
    default_model: null,
    cohorts: {},
    completed_welcome_form: false,
    linkedin_url: null,
    github_url: null,
    discord_server_membership_verified_at: null,
    openrouter_upstream_safety_identifier: null,
    vercel_downstream_safety_identifier: null,
    customer_source: null,
    signup_ip: null,
    account_deletion_requested_at: null,
    normalized_email: email,
    email_domain: email.slice(email.indexOf("@") + 1),
    paymentMethodStatus: "none",
    admin_notes: [],
    is_blacklisted_by_domain: false,
  };
}
