import { SYSTEM_TIMING } from "../timing.ts";
import type { Host, StopReason } from "./host.ts";

export interface Launch {
  readonly root: string;
  readonly version: string;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** A command that did what it was to do, but could not say so. */
const UNSAID = 1;
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * The real machine. The only module, besides the launcher, that touches `process`.
 *
 * The exit code is the launcher's, 1, until `leaveWith` is called with another. Output that could not be written makes 1 of 0 and
 * changes no other code. The first signal asks the running command to end well; the second ends the process at once.
 */
export function systemHost({ root, version }: Launch): { host: Host; leaveWith(code: number): void } {
  const stopping = new AbortController();
  const closing = new AbortController();
  let failed = false;
  let lent = 0;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (signal === "SIGINT" && lent > 0) return;
      if (stopping.signal.aborted) process.exit(CODES[signal]);
      stopping.abort(signal satisfies StopReason);
    });
  }
  let left = false;
  process.once("beforeExit", () => {
    // Nothing is left that could still go on.
    if (!left) process.stderr.write("error: the command ended before it was done; this is a bug\n");
  });
  const guarded = once((stream: NodeJS.WriteStream) => {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (stream === process.stdout) closing.abort(error);
      // A reader that went away (`| head`) is nobody's error; a full disk is.
      if (error.code === "EPIPE") return;
      if (stream === process.stdout && !failed) {
        host.stderr.write(`error: standard output cannot be written (${error.code})\n`);
      }
      failed = true;
      // A code that says what went wrong, or that something was sent, says more.
      if (process.exitCode === 0) process.exitCode = UNSAID;
    });
  });
  const { KILOCLAW_ADMIN_TOKEN: token } = process.env;
  // Programs that are started with this process's own environment, such as a browser or an editor, have no use for it.
  delete process.env["KILOCLAW_ADMIN_TOKEN"];
  const host: Host = {
    env: token === undefined ? process.env : { ...process.env, KILOCLAW_ADMIN_TOKEN: token },
    // Opened when they are first used: opening a stream takes longer than printing a help text.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      guarded(process.stdout);
      return process.stdout;
    },
    get stderr() {
      guarded(process.stderr);
      return process.stderr;
    },
    cwd: process.cwd(),
    pid: process.pid,
    platform: process.platform,
    nodePath: process.execPath,
    nodeVersion: process.version,
    root,
    version,
    timing: SYSTEM_TIMING,
    stop: stopping.signal,
    closed: closing.signal,
    lendTerminal: async (work) => {
      lent += 1;
      try {
        return await work();
      } finally {
        lent -= 1;
      }
    },
    onResize: (resized, signal) => {
      process.stdout.on("resize", resized);
      signal.addEventListener("abort", () => process.stdout.off("resize", resized), { once: true });
    },
    onExit: (leave, signal) => {
      process.once("exit", leave);
      signal.addEventListener("abort", () => process.off("exit", leave), { once: true });
    },
  };
  return {
    host,
    // Never `process.exit()` here: it cuts a pipe at 64 KiB. The process ends when everything has gone out.
    leaveWith: (code) => {
      left = true;
      process.exitCode = failed && code === 0 ? UNSAID : code;
    },
  };
}

/** Does something once for each of its arguments. */
function once<T extends object>(act: (argument: T) => void): (argument: T) => void {
  const seen = new WeakSet<T>();
  return (argument) => {
    if (seen.has(argument)) return;
    seen.add(argument);
    act(argument);
  };
}
