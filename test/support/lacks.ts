import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const posix = process.platform !== "win32";
const root = process.geteuid?.() === 0;

/** Whether there is such a program. */
function runs(program: string): boolean {
  return posix && spawnSync(program, ["--version"]).status === 0;
}

/** What some tests need of the machine that they run on. */
const NEEDS = {
  signals: { here: posix, why: "a process on Windows is ended by a signal, and never hears it" },
  permissions: { here: posix, why: "files have owners and modes on POSIX only" },
  shell: { here: posix, why: "they run programs of /bin/sh, or ps and mkfifo" },
  linux: {
    here: process.platform === "linux",
    why: "what they look at is in Linux' /proc, or an interface of a Linux desktop",
  },
  root: { here: root, why: "root alone can act as other users and give files away" },
  "/dev/full": { here: existsSync("/dev/full"), why: "it is a disk that is full" },
  script: {
    here: posix && spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true,
    why: "script of util-linux makes a terminal",
  },
  bash: { here: runs("bash"), why: "it is a shell with completion" },
  zsh: { here: runs("zsh"), why: "it is a shell with completion; Debian has a package of that name" },
  fish: { here: runs("fish"), why: "it is a shell with completion; Debian has a package of that name" },
  setpriv: { here: root && spawnSync("setpriv", ["--version"]).status === 0, why: "it acts as one user for another" },
  unshare: { here: root && spawnSync("unshare", ["-m", "true"]).status === 0, why: "it mounts for one process alone" },
} as const satisfies Record<string, { here: boolean; why: string }>;

/**
 * Whether this machine lacks something that a test needs: `it.skipIf(lacks("signals"))`. If so, says what and why in the
 * report of the file: left-out tests must not look like passed ones.
 */
export function lacks(...needs: readonly (keyof typeof NEEDS)[]): boolean {
  const missing = needs.filter((need) => !NEEDS[need].here);
  for (const need of missing) console.warn(`tests are LEFT OUT that need ${need} (${NEEDS[need].why})`);
  return missing.length > 0;
}
