/** The platform's REST routes that the tool uses: who am I, users by e-mail or id, device login. */
import * as z from "zod";
import { lazily } from "./lazily.ts";
import { timestamp } from "./timestamp.ts";

export interface Route<Answer extends z.ZodType = z.ZodType> {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** Built when it is first asked for. */
  readonly answer: () => Answer;
}

/** Who the token belongs to. Says nothing about admin rights. */
export const profile = {
  method: "GET",
  path: "/api/profile",
  answer: lazily(() =>
    z.object({ user: z.object({ id: z.string(), email: z.string(), name: z.string().nullable() }) }),
  ),
} as const satisfies Route;

/**
 * Users by e-mail or name (`_` and `%` are wildcards here) or exact id; admins only. The rows carry two secret columns:
 * the schema takes what may be shown and drops the rest.
 */
export const users = {
  method: "GET",
  path: "/admin/api/users",
  answer: lazily(() =>
    z.object({
      users: z.array(
        z.object({
          id: z.string(),
          google_user_email: z.string(),
          google_user_name: z.string().nullable(),
          is_admin: z.boolean(),
          blocked_reason: z.string().nullable(),
          created_at: timestamp,
        }),
      ),
      pagination: z.object({ total: z.number(), totalPages: z.number().nullable() }),
    }),
  ),
} as const satisfies Route;

/** What a device code looks like: no letter that can be taken for a digit, and nothing that a page's address could be made of. */
const DEVICE_CODE = /^[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}$/;

/** Device login, step 1: a code for the user to approve. `expiresIn` is in seconds. */
export const deviceCode = {
  method: "POST",
  path: "/api/device-auth/codes",
  answer: lazily(() =>
    z.object({ code: z.string().regex(DEVICE_CODE), verificationUrl: z.url(), expiresIn: z.number() }),
  ),
} as const satisfies Route;

/** The platform's page where a code is approved. */
export function deviceApprovalPath(code: string): string {
  return `/device-auth?code=${encodeURIComponent(code)}`;
}

/** Device login, step 2: where a code's state is asked for. Whoever knows the code can fetch the token: it is a secret. */
export function devicePollPath(code: string): string {
  return `${deviceCode.path}/${encodeURIComponent(code)}`;
}

/** The state of a code, with HTTP 202, 200, 403 or 410. The token is handed out once. */
export const devicePoll = lazily(() =>
  z.discriminatedUnion("status", [
    z.object({ status: z.literal("pending") }),
    z.object({ status: z.literal("approved"), token: z.string(), userId: z.string(), userEmail: z.string() }),
    z.object({ status: z.literal("denied") }),
    z.object({ status: z.literal("expired") }),
  ]),
);

/** Why a REST route refused: the reason that tRPC's single 401 hides. `success` is absent where the platform itself failed. */
export const restError = lazily(() => z.object({ error: z.string(), success: z.literal(false).optional() }));
