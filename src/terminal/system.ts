import type { Host, StopReason } from "./host.ts";

export interface Launch {
  readonly root: string;
  readonly version: string;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * The real machine. The only module, besides the launcher, that touches `process`.
 *
 * The first signal asks the running command to end well; the second ends the process at once.
 */
export function systemHost({ root, version }: Launch): Host {
  const stopping = new AbortController();
  const stop = (reason: StopReason) => stopping.abort(reason);
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(CODES[signal]);
      stop(signal);
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      stop("EPIPE");
    });
  }
  return {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    cwd: process.cwd(),
    pid: process.pid,
    platform: process.platform,
    nodePath: process.execPath,
    nodeVersion: process.version,
    root,
    version,
    stop: stopping.signal,
  };
}

/** Leaves with `code` once everything that was written has gone out: never `process.exit()`, which cuts a pipe at 64 KiB. */
export function leaveWith(code: number): void {
  process.exitCode = code;
  // A terminal or pipe on standard input that was read from would keep the process alive.
  process.stdin.unref?.();
}
