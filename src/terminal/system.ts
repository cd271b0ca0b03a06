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
  return {
    env: process.env,
    // Opened when they are first used: opening a stream takes longer than printing a help text.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return guarded(process.stdout, stop);
    },
    get stderr() {
      return guarded(process.stderr, stop);
    },
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

const guardedStreams = new WeakSet<NodeJS.WriteStream>();

/** The stream, with a reader that went away (`| head`) taken for a wish to stop instead of an error. */
function guarded(stream: NodeJS.WriteStream, stop: (reason: StopReason) => void): NodeJS.WriteStream {
  if (!guardedStreams.has(stream)) {
    guardedStreams.add(stream);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      stop("EPIPE");
    });
  }
  return stream;
}

/** Leaves with `code` once everything that was written has gone out: never `process.exit()`, which cuts a pipe at 64 KiB. */
export function leaveWith(code: number): void {
  process.exitCode = code;
}
