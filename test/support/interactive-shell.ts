/** A real shell on a terminal of its own with `kiloclaw-admin` at hand: somebody types there, TABs included. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";

export type ShellName = "bash" | "zsh" | "fish";

/** How each is started without anybody's own settings, and reads the completion that a file has. */
const SHELLS: Readonly<Record<ShellName, { readonly start: string; readonly load: (file: string) => string }>> = {
  bash: { start: "bash --norc --noprofile", load: (file) => `. '${file}'` },
  zsh: { start: "zsh -f", load: (file) => `autoload -Uz compinit; compinit -u -D; . '${file}'` },
  fish: { start: "fish --no-config", load: (file) => `source '${file}'` },
};

interface ShellOptions {
  /** A folder for what it needs; it stands there, and is at home there. */
  readonly folder: string;
  /** The file with the completion. */
  readonly script: string;
  /** Lines of `sh` that answer when the completion asks, the words in `"$@"`. */
  readonly completer: string;
  readonly env: NodeJS.ProcessEnv;
}

interface Typed {
  /** The arguments that the program was called with. */
  readonly args: readonly string[];
  /** What came to the screen since the keys were typed. */
  readonly screen: string;
}

export interface InteractiveShell {
  /** Types keys, the last of which has to be Enter, and waits until the program is called. */
  type(keys: string): Promise<Typed>;
  close(): Promise<void>;
}

/** Starts it, ready to be typed to. Close it when the test is over. */
export async function openShell(
  shell: ShellName,
  { folder, script, completer, env }: ShellOptions,
): Promise<InteractiveShell> {
  const { start, load } = SHELLS[shell];
  const program = join(folder, "kiloclaw-admin");
  // In place of the program stands one that tells its arguments.
  const told = `printf '<<'; printf '[%s]' "$@"; printf '>>\\n'`;
  await writeFile(program, `#!/bin/sh\nif [ "$1" = __complete ]; then\n${completer}\nelse ${told}\nfi\n`);
  await chmod(program, 0o700);
  const child = spawn("script", ["--quiet", "--command", `stty cols 200 rows 50; ${start}`, "/dev/null"], {
    cwd: folder,
    env: {
      ...env,
      PATH: `${folder}:${env.PATH ?? ""}`,
      HOME: folder,
      TERM: "xterm",
      LANG: "C.UTF-8",
      PS1: "> ",
      INPUTRC: "/dev/null",
      SHELL: "/bin/sh",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  let screen = "";
  let look: (() => void) | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    look?.();
  });
  const closed = once(child, "close");
  const shown = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      look = () => {
        const match = pattern.exec(stripVTControlCharacters(screen));
        if (match) resolve(match);
      };
      look();
      closed.then(() => reject(new Error(`${shell} ended without ${pattern}: ${JSON.stringify(screen)}`)), reject);
    });
  child.stdin.write(`${load(script)}; echo loa''ded\r`);
  await shown(/loaded/);
  return {
    type: async (keys) => {
      screen = "";
      child.stdin.write(keys);
      const [, args = ""] = await shown(/<<((?:\[[^\]]*\])*)>>/);
      return { args: [...args.matchAll(/\[([^\]]*)\]/g)].map(([, arg = ""]) => arg), screen };
    },
    close: async () => {
      // The shell notices that its terminal is gone.
      child.kill("SIGKILL");
      await closed;
    },
  };
}
