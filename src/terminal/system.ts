import { fstatSync, readFileSync } from "node:fs";
import { ReadStream } from "node:tty";
import { callAfter, type Timer } from "../async/wait.ts";
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
    // All has gone out. Node would take its heap apart before it ends; the system is faster.
    if (left) process.exit();
    // Nothing is left that could still go on.
    process.stderr.write("error: the command ended before it was done; this is a bug\n");
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
    get isPiped() {
      return isPipe(1);
    },
    cwd: process.cwd(),
    pid: process.pid,
    platform: process.platform,
    nodePath: process.execPath,
    nodeVersion: process.version,
    root,
    version,
    timing: SYSTEM_TIMING,
    ranForMs: () => performance.now(),
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
    onSuspend: suspending(),
    takeKeys: keyTaking(),
    onExit: (leave, signal) => {
      process.once("exit", leave);
      signal.addEventListener("abort", () => process.off("exit", leave), { once: true });
    },
  };
  return {
    host,
    // Never `process.exit()` here: it cuts a pipe at 64 KiB. The process ends when everything has gone out, at `beforeExit`.
    leaveWith: (code) => {
      left = true;
      process.exitCode = failed && code === 0 ? UNSAID : code;
    },
  };
}

function isPipe(descriptor: number): boolean {
  try {
    const kind = fstatSync(descriptor);
    return kind.isFIFO() || kind.isSocket();
  } catch {
    // Closed.
    return false;
  }
}

/** Where a process that was told to stop is not stopped (it has no shell that could resume it), it is soon back. */
const NOT_STOPPED_MS = 100;
/** A shell says nothing when it takes a process from the background to the foreground. */
const LOOK_EVERY_MS = 1_000;

/** {@link Host.onSuspend}: Ctrl-Z and `fg`, as the shell has them for every program. */
function suspending(): Host["onSuspend"] {
  const parts = new Set<{ leave: () => void; back: () => void }>();
  let away = false;
  let looking: Timer | undefined;
  const leave = () => {
    if (!away) for (const part of parts) part.leave();
    away = true;
  };
  const back = () => {
    looking?.cancel();
    if (!away) return;
    if (!isInForeground()) {
      looking = callAfter(LOOK_EVERY_MS, back, { ref: false });
      return;
    }
    away = false;
    for (const part of parts) part.back();
  };
  const stop = () => {
    leave();
    // Without a listener the signal stops the process, here, until it is resumed.
    process.off("SIGTSTP", stop);
    process.kill(process.pid, "SIGTSTP");
    process.on("SIGTSTP", stop);
    looking?.cancel();
    looking = callAfter(NOT_STOPPED_MS, back, { ref: false });
  };
  const quit = () => {
    leave();
    // Without a listener the signal ends the process, as it does everywhere.
    process.off("SIGQUIT", quit);
    process.kill(process.pid, "SIGQUIT");
  };
  // Also after a SIGSTOP, which nobody hears of before.
  const resume = () => {
    leave();
    back();
  };
  return (leavePart, backPart, signal) => {
    if (process.platform === "win32") return;
    const part = { leave: leavePart, back: backPart };
    if (parts.size === 0) process.on("SIGTSTP", stop).on("SIGCONT", resume).on("SIGQUIT", quit);
    parts.add(part);
    if (away) part.leave();
    signal.addEventListener(
      "abort",
      () => {
        parts.delete(part);
        if (parts.size > 0) return;
        process.off("SIGTSTP", stop).off("SIGCONT", resume).off("SIGQUIT", quit);
        looking?.cancel();
        away = false;
      },
      { once: true },
    );
  };
}

/** The keys that a terminal makes signals of, and which. */
const SIGNAL_KEYS = new Map([
  [3, "SIGINT"],
  [26, "SIGTSTP"],
  [28, "SIGQUIT"],
] as const);

/** {@link Host.takeKeys} */
function keyTaking(): Host["takeKeys"] {
  let typed: ((byte: Uint8Array) => void) | undefined;
  let keyboard: ReadStream | undefined;
  const read = (_length: number, buffer: Uint8Array): boolean => {
    const signal = SIGNAL_KEYS.get((buffer[0] ?? 0) as 3);
    if (!signal) {
      typed?.(Uint8Array.from(buffer));
      return typed !== undefined;
    }
    raise(signal);
    // What comes behind it is for whoever has the terminal then.
    callAfter(NOT_STOPPED_MS, () => typed && keyboard?.resume(), { ref: false });
    return false;
  };
  // A byte at a time, on a stream of its own: what comes behind the key that ends it all stays in the terminal.
  const options: object = { onread: { buffer: new Uint8Array(1), callback: read } };
  // A terminal that is gone says so with a signal.
  const open = () => new ReadStream(0, options).on("error", () => undefined);
  const stream = () => (keyboard ??= open());
  return (take) => {
    let looking: Timer | undefined;
    const begin = () => {
      // From the background, it would stop the process.
      if (!isInForeground()) {
        looking = callAfter(LOOK_EVERY_MS, begin, { ref: false });
        return;
      }
      typed = take;
      // After a SIGSTOP the shell has made the terminal its own: it is changed anew, and given back as it is now.
      stream().setRawMode(false).setRawMode(true).resume();
    };
    begin();
    return () => {
      looking?.cancel();
      if (typed !== take) return;
      typed = undefined;
      stream().pause();
      if (isInForeground()) stream().setRawMode(false);
    };
  };
}

/** What the terminal does: the signal is for all that it has in the foreground. */
function raise(signal: NodeJS.Signals): void {
  if (process.platform === "win32") process.emit(signal);
  else process.kill(0, signal);
}

/** Whether the terminal is this process's to draw on. Where the system does not say, it is. */
function isInForeground(): boolean {
  try {
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: after the name, state ppid pgrp session tty_nr tpgid.
    const stat = readFileSync("/proc/self/stat", "utf8");
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Where the process has no terminal of its own, nobody else has it either.
    return group === foreground || foreground === "-1";
  } catch {
    return true;
  }
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
