import { spawn, type ChildProcess } from "node:child_process";
import type { Host } from "./host.ts";

const DEFAULT_PAGER = "less -FRX";
/** What a shell exits with where there is no such program, or it may not be run. */
const NOT_RUN = [126, 127];

/**
 * What a long text is to be shown with, `undefined` where it is to be printed: `$PAGER`, and `less -FRX` without it. As
 * elsewhere, an empty one and `cat` mean none.
 */
export function pagerOf({ stdout, env }: Pick<Host, "stdout" | "env">): string | undefined {
  if (!stdout.isTTY || env.TERM === "dumb") return undefined;
  const pager = (env.PAGER ?? DEFAULT_PAGER).trim();
  return pager === "" || pager === "cat" ? undefined : pager;
}

/** Whether a text of printable characters and colours takes more lines than the terminal has. */
export function isLongerThanScreen(text: string, { rows, columns }: Host["stdout"]): boolean {
  if (!rows) return false;
  let left = rows - 1;
  for (const line of text.trimEnd().split("\n")) {
    // oxlint-disable-next-line no-control-regex -- colours take no room
    const width = line.replaceAll(/\u001b\[[\d;:]*m/g, "").length;
    left -= columns ? Math.max(1, Math.ceil(width / columns)) : 1;
    if (left < 0) return true;
  }
  return false;
}

/**
 * Hands a text to the user's pager and waits until it is left. What the pager exits with is nobody's error. Ctrl-C is the
 * pager's meanwhile.
 *
 * @param text sanitized.
 * @returns false: the pager could not be started, and the text is still to be shown.
 */
export function page(host: Host, pager: string, text: string): Promise<boolean> {
  return host.lendTerminal(
    () =>
      new Promise((resolve) => {
        const child = start(host, pager);
        child.once("error", () => resolve(false));
        child.once("close", (code) => resolve(code === null || !NOT_RUN.includes(code)));
        const stop = () => void child.kill();
        host.stop.addEventListener("abort", stop);
        child.once("close", () => host.stop.removeEventListener("abort", stop));
        // Who has seen enough leaves before the end.
        child.stdin?.on("error", () => undefined);
        child.stdin?.end(text);
      }),
  );
}

function start(host: Host, pager: string): ChildProcess {
  // What a pager needs not know. Without further word, `less` shows colours as they are and leaves short texts on the screen.
  const env = { LESS: "FRX", ...host.env, KILOCLAW_ADMIN_TOKEN: undefined };
  const options = { env, stdio: ["pipe", "inherit", "inherit"] as const, windowsHide: true };
  // It is the user's own setting, and may be any command line; most are a name and some flags.
  if (/[^\w\s./:=+,@-]/.test(pager)) return spawn(pager, { ...options, stdio: [...options.stdio], shell: true });
  const [program = "", ...args] = pager.split(/\s+/);
  return spawn(program, args, { ...options, stdio: [...options.stdio] });
}
