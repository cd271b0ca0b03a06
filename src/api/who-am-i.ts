import { admin } from "../contract/procedures.ts";
import { profile as profileRoute } from "../contract/rest.ts";
import { ApiError } from "./api-error.ts";
import type { Api } from "./api.ts";
import { expiredWords } from "./token.ts";

/** Who a token is to the platform. */
export interface Identity {
  readonly usable: boolean;
  readonly email: string | null;
  readonly userId: string | null;
  readonly isAdmin: boolean | null;
  /** Why the token is of no use; `null` when it is. */
  readonly reason: string | null;
}

/**
 * Asks both APIs who `token`, which they are called with, is: REST says who, and why not; tRPC says whether an admin.
 *
 * @throws ApiError when there is no answer to that.
 */
export async function whoAmI(api: Api, token: string): Promise<Identity> {
  const nobody = { usable: false, email: null, userId: null, isAdmin: null };
  try {
    const { user } = await api.get(profileRoute);
    const known = { email: user.email, userId: user.id };
    try {
      await api.query(admin.adminAuditLogs, { userId: user.id, limit: 1 });
      return { ...known, usable: true, isAdmin: true, reason: null };
    } catch (error) {
      if (!(error instanceof ApiError) || error.trpcCode !== "FORBIDDEN") throw error;
      return { ...known, usable: false, isAdmin: false, reason: "this account is not an admin" };
    }
  } catch (error) {
    if (error instanceof ApiError && error.kind === "auth")
      return { ...nobody, reason: meaningOf(error.message, token) };
    throw error;
  }
}

/** The platform's reasons in plain words (its own text goes along). */
function meaningOf(reason: string, token: string): string {
  const says = `the platform says "${reason}"`;
  // The platform does not tell an expired token from a damaged one; the token does.
  const expired = expiredWords(token);
  if (reason.startsWith("Invalid token") && expired) return `the token ${expired}; ${says}`;
  if (reason.startsWith("Invalid token")) return `the token is expired, damaged or not from this platform; ${says}`;
  if (reason.startsWith("Invalid API token")) return `the token was revoked; ${says}`;
  if (reason.startsWith("Token version outdated")) return `the token is of an old version; ${says}`;
  if (reason.startsWith("User not found")) return `the token's user does not exist; ${says}`;
  if (reason.startsWith("Access denied")) return `the account is blocked; ${says}`;
  return says;
}
