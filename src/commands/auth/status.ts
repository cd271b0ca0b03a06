import type { Command } from "@commander-js/extra-typings";
import type * as z from "zod";
import { parseOrigin } from "../../api/origin.ts";
import { readClaims } from "../../api/token.ts";
import { checksCertificates } from "../../api/transport.ts";
import { whoAmI } from "../../api/who-am-i.ts";
import { limit } from "../../async/limit.ts";
import { findCredential, storageOf } from "../../config/credentials.ts";
import type { Platform } from "../../config/settings.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { authStatusShape } from "../../shapes/setup.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { examples } from "../shared/options.ts";

type AuthStatus = Readonly<z.output<typeof authStatusShape>>;

type Needs = Pick<
  Context,
  "advice" | "apiAs" | "connection" | "host" | "keyring" | "output" | "paths" | "stop" | "platform" | "platforms"
>;

export function configure(command: Command, open: OpenContext): void {
  command
    .addHelpText(
      "after",
      examples("kiloclaw-admin auth status", "kiloclaw-admin auth status --profile sandbox --json") +
        "\n\nShows every profile; with --profile or --host only that one. The exit code is about the current one. A token in" +
        "\nKILOCLAW_ADMIN_TOKEN is tried out on that one only, where it is used: see kiloclaw-admin help environment",
    )
    .action(async () => status(await open()));
}

export const prints = (): Prints => [{ view: authView }];

async function status(context: Needs): Promise<void> {
  const { host, output } = context;
  output.expect(authView);
  if (!checksCertificates(host.env)) {
    output.warn("NODE_TLS_REJECT_UNAUTHORIZED=0: certificate checks are off; only loopback connections are allowed");
  }
  const [meant, platforms] = await Promise.all([context.platform(), context.platforms()]);
  output.announce(meant);
  const looks = await Promise.all(
    platforms.map((platform) => look(context, platform, platform.profile === meant.profile)),
  );
  const rows = looks.map(({ row }) => row);
  const [only, ...others] = rows;
  if (only && others.length === 0 && output.format === "table") await output.item(only, authView);
  else await output.list(rows, authView, "");

  const current = looks.find(({ row }) => row.current);
  if (current?.error) throw current.error;
  if (!current || current.row.usable) return;
  throw new CliError("auth", `not usable: ${current.row.reason ?? "refused"}`, { hint: await context.advice() });
}

interface Look {
  readonly row: AuthStatus;
  /** Why nobody could be asked. */
  readonly error?: CliError;
}

async function look(context: Needs, platform: Platform, current: boolean): Promise<Look> {
  const { apiAs, host, keyring, paths, stop } = context;
  const { othersMs } = host.timing;
  const late = limit(stop, othersMs);
  let row: AuthStatus = { ...UNKNOWN, profile: platform.profile, current, host: platform.host };
  try {
    const origin = parseOrigin(platform.host, platform.hostSource);
    row = { ...row, host: origin, storage: (await storageOf(paths.config, origin)) ?? null };
    // A token in the environment is meant for the current one.
    const credential = current
      ? (await context.connection()).credential
      : await findCredential(paths.config, { origin, takesVariable: false }, {}, keyring);
    if (!credential) {
      const unused = current && host.env.KILOCLAW_ADMIN_TOKEN?.trim();
      const reason = `there is no token${unused ? "; KILOCLAW_ADMIN_TOKEN is not used here" : ""}`;
      return { row: { ...row, usable: false, reason } };
    }
    const { source, token } = credential;
    row = { ...row, tokenSource: source, expiresAt: readClaims(token)?.expiresAt ?? null };
    const api = await apiAs(token, origin, current ? stop : late.signal);
    return { row: { ...row, ...(await whoAmI(api, token)) } };
  } catch (error) {
    if (!(error instanceof CliError) || stop.aborted) throw error;
    const reason = late.expired && !current ? `no answer within ${othersMs / 1_000} s` : error.message;
    const unreachable = error.kind === "unreachable" || error.kind === "interrupted";
    return { row: { ...row, reason: unreachable ? `unreachable: ${reason}` : reason }, error };
  } finally {
    late.release();
  }
}

const UNKNOWN = {
  usable: null,
  email: null,
  userId: null,
  isAdmin: null,
  tokenSource: null,
  storage: null,
  expiresAt: null,
  reason: null,
} as const;

const authView: View<AuthStatus> = {
  shape: "auth-status",
  fields: [
    "profile",
    "current",
    "host",
    "usable",
    "email",
    "userId",
    "isAdmin",
    "tokenSource",
    "storage",
    "expiresAt",
    "reason",
  ],
  id: ({ profile }) => profile,
  columns: () => [
    { header: "PROFILE", value: ({ profile, current }) => `${current ? "*" : " "} ${profile}`, rank: 0 },
    // Never cut: what tells one platform from another may be at its end.
    { header: "HOST", value: ({ host }) => host, rank: 1 },
    { header: "ACCOUNT", value: ({ email, userId }) => email ?? userId ?? "-", rank: 3, shrinkTo: 12 },
    { header: "ADMIN", value: adminWord, color: adminColor, rank: 4 },
    { header: "TOKEN", value: tokenWord, rank: 5 },
    { header: "EXPIRES", value: ({ expiresAt }) => expiresAt?.toISOString().slice(0, 10) ?? "-", rank: 6 },
    {
      header: "STATUS",
      value: ({ usable, reason }) => (usable ? "ok" : (reason ?? "refused")),
      color: ({ usable }) => (usable ? "green" : usable === null ? "yellow" : "red"),
      rank: 2,
      shrinkTo: 20,
    },
  ],
  details: (auth) => [
    { label: "profile", value: auth.profile },
    { label: "host", value: auth.host },
    { label: "account", value: auth.email ?? "-" },
    { label: "admin", value: adminWord(auth), color: adminColor(auth) },
    { label: "token", value: auth.tokenSource ?? "none" },
    { label: "stored in", value: auth.storage ?? "-" },
    { label: "expires", value: auth.expiresAt ? auth.expiresAt.toISOString() : "-" },
  ],
};

function adminWord({ isAdmin }: AuthStatus): string {
  return isAdmin === null ? "-" : isAdmin ? "yes" : "no";
}

function adminColor({ isAdmin }: AuthStatus) {
  return isAdmin === null ? undefined : isAdmin ? "green" : "red";
}

function tokenWord({ tokenSource, storage }: AuthStatus): string {
  if (tokenSource === null) return "none";
  return tokenSource.startsWith("environment") ? "environment" : (storage ?? tokenSource);
}
