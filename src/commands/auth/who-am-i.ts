import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { admin } from "../../contract/procedures.ts";
import { profile as profileRoute } from "../../contract/rest.ts";

/** Who a token is to the platform. */
export interface Identity {
  readonly usable: boolean;
  readonly email: string | null;
  readonly userId: string | null;
  readonly isAdmin: boolean | null;
  /** Why the token is of no use; `null` when it is. */
  readonly reason: string | null;
}

/** Asks both APIs: REST says who, and why not; tRPC says whether an admin. */
export async function whoAmI(api: Api): Promise<Identity> {
  const nobody = { usable: false, email: null, userId: null, isAdmin: null };
  try {
    const { user } = await api.get(profileRoute);
    const known = { email: user.email, userId: user.id };
    try {
      await api.query(admin.adminAuditLogs, { userId: user.id, limit: 1 });
      return { ...known, usable: true, isAdmin: true, reason: null };
    } catch (error) {
      if (!(error instanceof ApiError) || error.httpStatus !== 403) throw error;
      return { ...known, usable: false, isAdmin: false, reason: "this account is not an admin" };
    }
  } catch (error) {
    if (error instanceof ApiError && error.kind === "auth") return { ...nobody, reason: meaningOf(error.message) };
    throw error;
  }
}

/** The platform's reasons in plain words (its own text goes along). */
function meaningOf(reason: string): string {
  const says = `the platform says "${reason}"`;
  if (reason.startsWith("Invalid token")) return `the token is expired, damaged or not from this platform; ${says}`;
  if (reason.startsWith("Invalid API token")) return `the token was revoked; ${says}`;
  if (reason.startsWith("Token version outdated")) return `the token is of an old version; ${says}`;
  if (reason.startsWith("User not found")) return `the token's user does not exist; ${says}`;
  if (reason.startsWith("Access denied")) return `the account is blocked; ${says}`;
  return says;
}
