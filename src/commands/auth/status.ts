import type { Command } from "@commander-js/extra-typings";
import { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { readClaims } from "../../api/token.ts";
import type { Context } from "../../context.ts";
import { admin } from "../../contract/procedures.ts";
import { profile as profileRoute } from "../../contract/rest.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import type { View } from "../../terminal/output.ts";
import { examples } from "../options.ts";

interface AuthStatus {
  readonly profile: string;
  readonly host: string;
  readonly usable: boolean;
  readonly email: string | null;
  readonly userId: string | null;
  readonly isAdmin: boolean | null;
  readonly tokenSource: string | null;
  readonly expiresAt: Date | null;
  /** Why the token is of no use; `null` when it is. */
  readonly reason: string | null;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addHelpText("after", examples("kiloclaw-admin auth status", "kiloclaw-admin auth status --profile sandbox --json"))
    .action(async () => status(await open()));
}

async function status(context: Pick<Context, "api" | "connection" | "output">): Promise<void> {
  const { profile, origin, credential } = await context.connection();
  const claims = credential && readClaims(credential.token);
  const common = {
    profile,
    host: origin,
    tokenSource: credential?.source ?? null,
    expiresAt: claims?.expiresAt ?? null,
  };
  const found: AuthStatus = credential
    ? { ...common, ...(await whoAmI(await context.api())) }
    : { ...common, usable: false, email: null, userId: null, isAdmin: null, reason: "there is no token" };
  await context.output.item(found, authView);
  if (found.usable) return;
  throw new CliError("auth", `not usable: ${found.reason ?? "refused"}`, {
    hint: [
      profile === "sandbox"
        ? "the sandbox makes a new token when it starts: kiloclaw-admin sandbox start"
        : "put an admin's token into KILOCLAW_ADMIN_TOKEN",
    ],
  });
}

/** Asks both APIs: REST says who, and why not; tRPC says whether an admin. */
async function whoAmI(api: Api): Promise<Pick<AuthStatus, "usable" | "email" | "userId" | "isAdmin" | "reason">> {
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

const authView: View<AuthStatus> = {
  fields: ["profile", "host", "usable", "email", "userId", "isAdmin", "tokenSource", "expiresAt", "reason"],
  id: ({ userId }) => userId ?? "-",
  details: (auth) => [
    { label: "profile", value: auth.profile },
    { label: "host", value: auth.host },
    { label: "account", value: auth.email ?? "-" },
    {
      label: "admin",
      value: auth.isAdmin === null ? "-" : auth.isAdmin ? "yes" : "no",
      color: auth.isAdmin === true ? "green" : auth.isAdmin === false ? "red" : undefined,
    },
    { label: "token", value: auth.tokenSource ?? "none" },
    { label: "expires", value: auth.expiresAt ? auth.expiresAt.toISOString() : "-" },
  ],
};
