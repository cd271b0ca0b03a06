import type { Readable } from "node:stream";
import type { Timing } from "../timing.ts";

/** A text stream to a person or a pipe. */
export interface TextSink {
  write(text: string): boolean;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type TextSource = Readable & { readonly isTTY?: boolean | undefined };

/** The signal that asked everything to stop. */
export type StopReason = "SIGINT" | "SIGTERM" | "SIGHUP";

/** The machine under the tool, as far as the tool uses it. Tests hand in their own; `system.ts` is the real one. */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: TextSource;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** Standard output goes to another program, which may show it on the same terminal at any time: `… | tee log`. */
  readonly isPiped: boolean;
  readonly cwd: string;
  readonly pid: number;
  readonly platform: string;
  readonly nodePath: string;
  readonly nodeVersion: string;
  /** The package's own folder: `bin/`, `dist/`, package.json. */
  readonly root: string;
  readonly version: string;
  /** How long to wait for what. */
  readonly timing: Timing;
  /** For how long the tool has been running, in milliseconds, Node's own start included. */
  readonly ranForMs: () => number;
  /** Aborted, with a `StopReason` as its reason, when the user or the system wants the tool to end. */
  readonly stop: AbortSignal;
  /** Aborted when nobody reads standard output any more: no reason to stop what changes something. */
  readonly closed: AbortSignal;
  /**
   * Takes the terminal's keys: it shows none of them, and acts upon none but Ctrl-C, Ctrl-Z and Ctrl-\, which do what they do elsewhere.
   * `typed` gets them a byte at a time; what was typed and not handed over stays for whoever reads next, as does what a shell gets.
   *
   * @returns gives the keys back, and the terminal as it was.
   */
  readonly takeKeys: (typed: (byte: Uint8Array) => void) => () => void;
  /** Leaves the terminal to another program while `work` is on: Ctrl-C is that program's, and does not abort `stop`. */
  readonly lendTerminal: <T>(work: () => Promise<T>) => Promise<T>;
  /** Calls `resized` whenever the terminal has another size, until `signal` is aborted. */
  onResize(resized: () => void, signal: AbortSignal): void;
  /**
   * Calls `leave` before Ctrl-Z stops the process, and `back` once it has the terminal again, until `signal` is aborted. In the background
   * (`bg`) the work goes on without the terminal.
   */
  onSuspend(leave: () => void, back: () => void, signal: AbortSignal): void;
  /** Calls `leave` when the process ends before `signal` is aborted, whatever ends it as long as that can be noticed. */
  onExit(leave: () => void, signal: AbortSignal): void;
}
