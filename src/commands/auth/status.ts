import type { Command } from "@commander-js/extra-typings";
import { readClaims } from "../../api/token.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import type { View } from "../../terminal/output.ts";
import { examples } from "../options.ts";
import { whoAmI } from "./who-am-i.ts";

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

async function status(context: Pick<Context, "api" | "connection" | "loginCommand" | "output">): Promise<void> {
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
        : `log in as an admin: ${context.loginCommand}`,
    ],
  });
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
