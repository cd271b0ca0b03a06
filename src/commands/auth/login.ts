import { text } from "node:stream/consumers";
import { Option, type Command } from "@commander-js/extra-typings";
import type * as z from "zod";
import { readClaims } from "../../api/token.ts";
import { whoAmI } from "../../api/who-am-i.ts";
import { isToken } from "../../config/credentials.ts";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { loginShape } from "../../shapes/setup.ts";
import type { Prints, View } from "../../terminal/rows.ts";
import { command, hint, type Hint } from "../../typed-command.ts";
import { duration, examples } from "../shared/options.ts";
import { tokenFromBrowser } from "./login/approval.ts";
import { openStorage } from "./login/storage.ts";

const POLL_MS = 2_000;

interface LoginOptions {
  readonly withToken?: true | undefined;
  readonly insecureStorage?: true | undefined;
  readonly browser: boolean;
  readonly interval: number;
}

type Login = Readonly<z.output<typeof loginShape>>;

export function configure(command: Command, open: OpenContext): void {
  command
    .option("--with-token", "read a token from standard input instead of asking for approval in a browser")
    .option("--insecure-storage", "keep the token in a file that only you can read, not in the system's keyring")
    .option("--no-browser", "never offer to open the browser")
    .addOption(new Option("--interval <time>", "time between polls").argParser(duration).default(POLL_MS).hideHelp())
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin auth login",
        "kiloclaw-admin auth login --profile sandbox --insecure-storage",
        "kiloclaw-admin auth login --with-token < token.txt",
      ),
    )
    .action(async (options) => login(await open(), options));
}

export const prints = (): Prints => [{ view: loginView }];

async function login(context: Context, options: LoginOptions): Promise<void> {
  const { host, output } = context;
  output.expect(loginView);
  const done = await logIn(context, options);
  output.success(`logged in to ${done.host}`);
  await output.item(done, loginView);
  if (!host.env.KILOCLAW_ADMIN_TOKEN) return;
  if ((await context.platform()).takesVariable)
    output.warn("KILOCLAW_ADMIN_TOKEN is set and takes precedence over the stored token");
  else output.note(`KILOCLAW_ADMIN_TOKEN is not sent to ${done.host}, which has a token of its own`);
}

/**
 * Logs in on the way to something else: everything it says goes to standard error.
 *
 * @throws as `auth login` does.
 */
export async function logInFirst(context: Context): Promise<void> {
  const { host, email, userId, stored } = await logIn(context, { browser: true, interval: POLL_MS });
  context.output.success(`logged in to ${host} as ${email ?? userId ?? "-"}; the token is in ${stored}`);
}

/** Gets a token, makes sure that it is an admin's, and only then stores it. */
async function logIn(context: Context, options: LoginOptions): Promise<Login> {
  const platform = await context.platform();
  const { profile, origin } = platform;
  context.output.announce(platform);
  const withToken = options.withToken ? true : undefined;
  const way = (insecure: true | undefined) =>
    command("auth login", { "--with-token": withToken, "--insecure-storage": insecure });
  const again = way(options.insecureStorage ? true : undefined);
  const store = await openStorage(context, options.insecureStorage ?? false, way(true));
  const token = options.withToken
    ? await tokenFromInput(context, again)
    : await tokenFromBrowser(context, { ...options, again });
  const { usable, email, userId, reason } = await whoAmI(await context.apiAs(token, origin), token);
  if (!usable) {
    throw new CliError("auth", `not logged in${email === null ? "" : ` as ${email}`}: ${reason ?? "refused"}`, {
      hint: hint`nothing was stored; log in with an admin's account: ${again}`,
    });
  }
  context.stop.throwIfAborted();
  const stored = await store(origin, token);
  return { profile, host: origin, email, userId, expiresAt: readClaims(token)?.expiresAt ?? null, stored };
}

async function tokenFromInput({ host }: Pick<Context, "host">, again: Hint): Promise<string> {
  if (host.stdin.isTTY) {
    throw new CliError("usage", "--with-token reads a token from standard input, which is a terminal", {
      hint: hint`give it a file or a pipe: ${again} < token.txt`,
    });
  }
  const token = (await text(host.stdin)).trim();
  if (isToken(token)) return token;
  throw new CliError("usage", token ? "standard input is not one token" : "there is no token on standard input");
}

const loginView: View<Login> = {
  shape: "login",
  fields: ["profile", "host", "email", "userId", "expiresAt", "stored"],
  id: ({ userId }) => userId ?? "-",
  details: ({ profile, host, email, userId, expiresAt, stored }) => [
    { label: "profile", value: profile },
    { label: "host", value: host },
    { label: "account", value: email ?? userId ?? "-" },
    { label: "until", value: expiresAt?.toISOString() ?? "-" },
    { label: "stored in", value: stored },
  ],
};
