import { readFile } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";
import { Argument, type Command } from "@commander-js/extra-typings";
import { SHELLS, type Shell } from "../completion/shells.ts";
import type { Context, OpenContext } from "../context.ts";
import { CliError } from "../errors.ts";
import type { Host } from "../terminal/host.ts";
import type { Prints } from "../terminal/rows.ts";
import { command, hint, plain, quoted } from "../typed-command.ts";
import { examples } from "./shared/options.ts";

const INSTALL = "install";
const NAME = "kiloclaw-admin";

export function configure(completion: Command, open: OpenContext): void {
  completion
    .addArgument(
      new Argument("<what>", "print the script for a shell, or install: show where to put it").choices([
        ...SHELLS,
        INSTALL,
      ]),
    )
    .addArgument(new Argument("[shell]", "with install: the shell (default: yours, by $SHELL)").choices(SHELLS))
    .addHelpText(
      "after",
      examples(
        "kiloclaw-admin completion install",
        "kiloclaw-admin completion bash",
        "kiloclaw-admin completion install zsh",
      ) +
        `

Completes commands, options and their values, profiles, settings, topics and this machine's jobs; and run IDs, users and instances
of the platform you are logged in to, where it answers within 0.3 seconds and the token needs no keyring. Otherwise those that this
machine has on record, or was shown within the last minute. It reads lists only and changes nothing.`,
    )
    .action(async (what, shell) => complete(await open(), what, shell));
}

/** A script for the shell, or lines to type; no rows. */
export const prints = (): Prints => [];

async function complete({ host }: Pick<Context, "host">, what: string, given: string | undefined): Promise<void> {
  if (what !== INSTALL && given !== undefined) throw new CliError("usage", "a shell's name goes with install only");
  const text = what === INSTALL ? installation(given ?? ownShell(host), host) : await script(what, host);
  host.stdout.write(text);
}

/** The script for a shell, which the package has as a file. */
function script(shell: string, { root }: Host): Promise<string> {
  return readFile(join(root, "dist", "completion", `kiloclaw-admin.${shell}`), "utf8");
}

/** @throws CliError `usage` when it cannot be told, or has no script. */
function ownShell({ env, platform }: Host): string {
  const name = basename(env.SHELL ?? (platform === "win32" ? "powershell" : ""));
  const shell = name === "pwsh" ? "powershell" : name;
  if (SHELLS.some((known) => known === shell)) return shell;
  throw new CliError(
    "usage",
    name === "" ? "cannot tell your shell: SHELL is not set" : `there is no completion for ${name}`,
    {
      hint: SHELLS.map((known) => hint`for ${plain(known)}: ${command("completion install", known)}`),
    },
  );
}

/** What to put where. Files are the user's to change. */
function installation(shell: string, { env }: Host): string {
  const home = env.HOME ?? "";
  const data = isAbsolute(env.XDG_DATA_HOME ?? "") ? (env.XDG_DATA_HOME ?? "") : join(home, ".local", "share");
  const config = isAbsolute(env.XDG_CONFIG_HOME ?? "") ? (env.XDG_CONFIG_HOME ?? "") : join(home, ".config");
  const put = (folder: string, name: string) => [
    `  mkdir -p ${quoted(folder)}`,
    `  ${command("completion", shell).typed({})} > ${quoted(join(folder, name))}`,
  ];
  const lines: Readonly<Record<Shell, () => readonly string[]>> = {
    bash: () => [
      "For bash with the package bash-completion, which finds it there by itself:",
      "",
      ...put(join(data, "bash-completion", "completions"), NAME),
      "",
      "Without that package, add this line to ~/.bashrc as well:",
      "",
      `  . ${quoted(join(data, "bash-completion", "completions", NAME))}`,
    ],
    zsh: () => [
      "For zsh:",
      "",
      ...put(join(home, ".zsh", "completions"), `_${NAME}`),
      "",
      "and, if they are not there yet, these lines in ~/.zshrc:",
      "",
      `  fpath=(${quoted(join(home, ".zsh", "completions"))} $fpath)`,
      "  autoload -Uz compinit && compinit",
    ],
    fish: () => [
      "For fish, which finds it there by itself:",
      "",
      ...put(join(config, "fish", "completions"), `${NAME}.fish`),
    ],
    powershell: () => [
      "For PowerShell, in the folder of your profile:",
      "",
      "  cd (Split-Path $PROFILE)",
      `  ${command("completion", "powershell").typed({})} > kiloclaw-admin.ps1`,
      "",
      "and this line in the profile itself ($PROFILE):",
      "",
      '  . "$PSScriptRoot/kiloclaw-admin.ps1"',
    ],
  };
  return `${[...lines[shell as Shell](), "", "Then start a new shell. After an upgrade of kiloclaw-admin, write the file again."].join("\n")}\n`;
}
