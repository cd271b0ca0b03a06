import { text } from "node:stream/consumers";
import { Option, type Command } from "@commander-js/extra-typings";
import type { Api } from "../../api/api.ts";
import type { DeviceCode } from "../../api/device-login.ts";
import { readClaims } from "../../api/token.ts";
import { isToken } from "../../config/credentials.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { OpenContext } from "../../program.ts";
import type { View } from "../../terminal/output.ts";
import { formatDuration } from "../../terminal/time.ts";
import { duration, examples } from "../options.ts";
import { offerBrowser } from "./browser.ts";
import { openStorage } from "./storage.ts";
import { whoAmI } from "./who-am-i.ts";

interface LoginOptions {
  readonly withToken?: true | undefined;
  readonly insecureStorage?: true | undefined;
  readonly browser: boolean;
  readonly interval: number;
}

interface Login {
  readonly profile: string;
  readonly host: string;
  readonly email: string | null;
  readonly userId: string | null;
  readonly expiresAt: Date | null;
  readonly stored: string;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .option("--with-token", "read a token from standard input instead of asking for approval in a browser")
    .option("--insecure-storage", "keep the token in a file that only you can read, not in the system's keyring")
    .option("--no-browser", "never offer to open the browser")
    .addOption(new Option("--interval <time>", "time between polls").argParser(duration).default(2_000).hideHelp())
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

async function login(context: Context, options: LoginOptions): Promise<void> {
  const { host, output } = context;
  output.expect(loginView);
  const { profile, origin } = await context.target();
  const store = await openStorage(context, options.insecureStorage ?? false);
  const token = options.withToken ? await tokenFromInput(context) : await tokenFromBrowser(context, options);
  const identity = await adminOf(await context.apiAs(token));
  host.stop.throwIfAborted();
  const stored = await store(origin, token);
  output.success(`logged in to ${origin}`);
  await output.item(
    { profile, host: origin, ...identity, expiresAt: readClaims(token)?.expiresAt ?? null, stored },
    loginView,
  );
  if (host.env.KILOCLAW_ADMIN_TOKEN) output.warn("KILOCLAW_ADMIN_TOKEN is set and goes before the stored token");
}

/** @throws CliError `auth` unless the platform takes the token for an admin's. */
async function adminOf(api: Api): Promise<{ email: string | null; userId: string | null }> {
  const { usable, email, userId, reason } = await whoAmI(api);
  if (usable) return { email, userId };
  throw new CliError("auth", `not logged in${email === null ? "" : ` as ${email}`}: ${reason ?? "refused"}`, {
    hint: "nothing was stored; log in with an admin's account",
  });
}

async function tokenFromInput({ host }: Pick<Context, "host">): Promise<string> {
  if (host.stdin.isTTY) {
    throw new CliError("usage", "--with-token reads a token from standard input, which is a terminal", {
      hint: "give it a file or a pipe: kiloclaw-admin auth login --with-token < token.txt",
    });
  }
  const token = (await text(host.stdin)).trim();
  if (isToken(token)) return token;
  throw new CliError("usage", token ? "standard input is not one token" : "there is no token on standard input");
}

async function tokenFromBrowser(context: Context, options: LoginOptions): Promise<string> {
  const { output, stop } = context;
  const device = await context.deviceLogin();
  const code = await device.requestCode(stop);
  output.notes(
    [
      { label: "code", value: code.code, color: "cyan" },
      { label: "approve it at", value: code.verificationUrl },
    ],
    { needed: true },
  );
  output.note("check that the page shows this code, and approve it there as an admin");
  try {
    if (options.browser) await offerBrowser(context, code.verificationUrl);
    return await counted(context, code, (onTrouble) =>
      device.awaitApproval(code, { intervalMs: options.interval, signal: stop, onTrouble }),
    );
  } catch (error) {
    if (stop.aborted) output.note("the code was dropped; nothing was stored");
    if (error instanceof CliError && error.kind === "auth") {
      throw new CliError("auth", error.message, { hint: context.loginCommand, cause: error });
    }
    throw error;
  }
}

/** Shows how long the code is still good for while `wait` runs. */
async function counted(
  { output }: Pick<Context, "output">,
  { expiresAt }: DeviceCode,
  wait: (onTrouble: (trouble: CliError | undefined) => void) => Promise<{ token: string }>,
): Promise<string> {
  let trouble: string | undefined;
  const words = () => {
    const left = formatDuration(Math.max(0, expiresAt.getTime() - Date.now()));
    return `waiting for the approval; the code expires in ${left}${trouble === undefined ? "" : ` (${trouble})`}`;
  };
  const progress = await output.busy(words());
  const ticking = setInterval(() => progress.show(words()), 1_000);
  try {
    const { token } = await wait((problem) => {
      trouble = problem?.message;
      progress.show(words());
    });
    return token;
  } finally {
    clearInterval(ticking);
    progress.stop();
  }
}

const loginView: View<Login> = {
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
