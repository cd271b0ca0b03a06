/** A real terminal with a shell on it, which has job control: what Ctrl-Z, `fg` and `bg` do, a pipe cannot show. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";

export interface RealTerminal {
  type(keys: string): void;
  /** Waits until the terminal shows it, after what was waited for before; gives all up to its end. */
  waitFor(pattern: RegExp): Promise<string>;
  /** Types it again and again until the terminal shows what it leads to: a question does not listen in its first moments. */
  typeUntil(keys: string, pattern: RegExp): Promise<string>;
}

const TYPE_EVERY_MS = 500;

/** The shell of a test, or a command in its place, until the test is over. Needs `script`. */
export function openTerminal(env: NodeJS.ProcessEnv, command = "exec bash --norc --noprofile -i"): RealTerminal {
  const sized = `stty cols 100 rows 30; ${command}`;
  const child = spawn("script", ["--quiet", "--return", "--command", sized, "/dev/null"], {
    // What the user types is not to be found in what the shell shows.
    env: { ...env, TERM: "xterm-256color", PS1: "shell> ", HISTFILE: "" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let seen = 0;
  const waiting = new Set<() => void>();
  const look = () => {
    for (const each of waiting) each();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    look();
  });
  child.once("close", look);
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    // With the terminal's end, what is on it hears of it, also what is stopped.
    child.kill("SIGKILL");
    await once(child, "close");
  });
  const type = (keys: string) => void child.stdin.write(keys);
  const waitFor = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const each = () => {
        const match = pattern.exec(shown.slice(seen));
        if (!match && child.exitCode === null) return;
        waiting.delete(each);
        if (!match) return reject(new Error(`ended without ${pattern}: ${JSON.stringify(shown.slice(seen))}`));
        const from = seen;
        seen += match.index + match[0].length;
        resolve(shown.slice(from, seen));
      };
      waiting.add(each);
      each();
    });
  const typeUntil = async (keys: string, pattern: RegExp) => {
    const typing = setInterval(() => type(keys), TYPE_EVERY_MS);
    try {
      return await waitFor(pattern);
    } finally {
      clearInterval(typing);
    }
  };
  return { type, waitFor, typeUntil };
}
