import { join } from "node:path";
import { Option, type Command } from "@commander-js/extra-typings";
import type { Context, OpenContext } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { readIdentity } from "../../files/sandbox-identity.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Prints } from "../../terminal/rows.ts";
import { command, hint } from "../../typed-command.ts";
import { examples, wholeNumber } from "../shared/options.ts";
import {
  DATABASE_URL,
  dataDirOf,
  dataDirOption,
  orderly,
  SANDBOX_PROFILE,
  sandboxCommand,
  sayOtherPort,
  type DataDirOptions,
} from "./shared.ts";
import { startDetached } from "./start/detach.ts";

/** Of a sandbox that has had none before: so that the profile's address is the same everywhere. */
const PORT = 4280;

interface StartOptions extends DataDirOptions {
  readonly port?: number | undefined;
  readonly databaseUrl?: string | undefined;
  readonly users?: number | undefined;
  readonly agent?: string | undefined;
  readonly detach?: true | undefined;
}

export function configure(command: Command, open: OpenContext): void {
  command
    .addOption(
      new Option(
        "--port <n>",
        `port on 127.0.0.1; 0 for any free one (default: the one it had last, or ${PORT}; another one where that is in use)`,
      ).argParser(wholeNumber(0, 65_535)),
    )
    .addOption(dataDirOption())
    .option(
      "--database-url <url>",
      `a Postgres server (postgres://…) instead of the embedded one; with a password better in ${DATABASE_URL}`,
    )
    .addOption(
      new Option("--users <n>", "add this many users, each with a running instance").argParser(wholeNumber(0, 100_000)),
    )
    .option("--agent <command>", 'what a run executes, such as "kilo run --auto"; default: the built-in repair program')
    .option("-d, --detach", "run in the background")
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin sandbox start --detach",
        "kiloclaw-admin sandbox start --users 200 --database-url postgres://localhost/kiloclaw",
      ) + `\n\nWhile it runs, reach it with --profile ${SANDBOX_PROFILE}.`,
    )
    .action(async (options) => start(await open(), options));
}

export const prints = (): Prints => [];

async function start(context: Context, options: StartOptions): Promise<void> {
  const { output, host } = context;
  const dataDir = await dataDirOf(context, options);
  const databaseUrl = options.databaseUrl ?? (host.env[DATABASE_URL] || undefined);
  if (hasPassword(options.databaseUrl)) {
    const exposed = "the database's password is in this command's arguments, which every user of this machine can read";
    const better = `put the address into ${DATABASE_URL} and leave --database-url out`;
    // In the background only for the moment until the sandbox has started.
    if (!options.detach) throw new CliError("usage", exposed, { hint: better });
    output.warn(`${exposed}; ${better}`);
  }
  const wantedPort = options.port ?? readIdentity(dataDir)?.port ?? PORT;
  if (options.detach)
    return startDetached(
      context,
      dataDir,
      { ...options, databaseUrl, dataDir },
      { stop: sandboxCommand("stop", context, dataDir), wantedPort },
    );

  const progress = await output.busy("starting the sandbox");
  const { startSandbox } = await import("../../sandbox/sandbox.ts");
  const sandbox = await orderly(
    startSandbox({
      port: wantedPort,
      orAnyPort: options.port === undefined,
      dataDir,
      databaseUrl,
      extraUsers: options.users,
      agentCommand: options.agent,
      assets: {
        nodePath: host.nodePath,
        agentScript: join(host.root, "dist", "agent.cjs"),
        migrations: join(host.root, "dist", "migrations"),
        database: join(host.root, "dist", "database.tar.br"),
        browser: join(host.root, "dist", "browser"),
      },
      pid: host.pid,
      env: host.env,
    }),
  ).finally(() => progress.stop());
  // From here on being stopped is the normal end, and nothing may be left behind.
  context.handleStop("SIGINT", "SIGTERM", "SIGHUP");
  try {
    await login(context, sandbox);
    output.success(`the sandbox is at ${sandbox.url}; you are logged in to it as ${sandbox.adminEmail}`);
    output.line(sandbox.url);
    sayOtherPort(context, wantedPort, sandbox.url);
    output.note(hint`try it: ${command("runs list", { "--profile": SANDBOX_PROFILE })}`);
    output.note(hint`stop it: Ctrl-C, or ${sandboxCommand("stop", context, dataDir)}`);
    await Promise.race([sandbox.stopped, aborted(context.stop)]);
  } finally {
    await orderly(sandbox.stop());
  }
  output.note("the sandbox has stopped; its data is kept");
}

function hasPassword(url: string | undefined): boolean {
  if (url === undefined || !URL.canParse(url)) return false;
  const { password, searchParams } = new URL(url);
  return password !== "" || searchParams.has("password");
}

/** Makes `--profile sandbox` lead here, and lets later commands find which sandbox that is, and where its data is. */
async function login(
  { configFolder, paths }: Pick<Context, "configFolder" | "paths">,
  { url, port, adminToken, dataDir }: Pick<Sandbox, "url" | "port" | "adminToken" | "dataDir">,
): Promise<void> {
  const [{ saveProfile }, { saveToken }, { rememberSandbox }] = await Promise.all([
    import("../../config/config-file.ts"),
    import("../../config/credentials.ts"),
    import("../../config/sandbox-place.ts"),
  ]);
  await saveProfile(configFolder, SANDBOX_PROFILE, { host: url });
  await saveToken(configFolder, url, adminToken);
  await rememberSandbox(paths.sandbox, port, dataDir);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
