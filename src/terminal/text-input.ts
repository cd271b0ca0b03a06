/**
 * Several lines from a terminal. What is pasted arrives whole: terminals that mark a paste are understood ("bracketed paste"), and
 * where one is not marked, a line end that more input follows at once is part of the text, not its end.
 */
import { createInterface, emitKeypressEvents, type Key } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { callAfter, type Timer } from "../async/wait.ts";

/** Has the terminal mark what is pasted (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, "Bracketed Paste Mode"). */
const MARK_PASTES = "\u001b[?2004h";
const LEAVE_PASTES = "\u001b[?2004l";

/** How long nothing may follow an Enter for it to end the text, in milliseconds: a paste goes on at once. */
const QUIET_MS = 100;

export interface Terminal {
  readonly input: Readable;
  readonly output: Writable;
  /** Aborted when the tool is to end. */
  readonly signal: AbortSignal;
  /** Calls `leave` should the process end before `signal` is aborted. */
  onExit(leave: () => void, signal: AbortSignal): void;
  /** Calls `leave` before Ctrl-Z stops the process, and `back` after `fg`, until `signal` is aborted. */
  onSuspend(leave: () => void, back: () => void, signal: AbortSignal): void;
}

/**
 * Has the user type or paste a text. Enter ends it; Alt-Enter and Ctrl-J go on in a new line, and so does a pasted line end.
 *
 * @returns the text without white space at its end; `undefined` when the user left with Ctrl-C or Ctrl-D, or `signal` was aborted.
 */
export function readText({ input, output, signal, onExit, onSuspend }: Terminal): Promise<string | undefined> {
  const over = new AbortController();
  return new Promise((resolve) => {
    const lines: string[] = [];
    let pasting = false;
    let goesOn = false;
    let quiet: Timer | undefined;

    const onKey = (_text: string | undefined, { name, meta }: Key) => {
      quiet?.cancel();
      if (name === "paste-start") pasting = true;
      else if (name === "paste-end") pasting = false;
      goesOn = pasting || name === "enter" || (name === "return" && meta === true);
      // Readline has no use of its own for Alt-Enter.
      if (goesOn && name === "return" && !pasting) reader.write(null, { name: "return" });
    };
    // Before readline's own listener: it has to know what a line end means when readline finds one.
    emitKeypressEvents(input);
    input.on("keypress", onKey);
    const reader = createInterface({ input, output, terminal: true, historySize: 0, prompt: "  " });

    const finish = (text: string | undefined) => {
      quiet?.cancel();
      input.off("keypress", onKey);
      signal.removeEventListener("abort", leave);
      over.abort();
      reader.removeAllListeners("close");
      reader.close();
      output.write(LEAVE_PASTES);
      resolve(text);
    };
    const leave = () => finish(undefined);
    const end = () => finish(lines.join("\n").trimEnd());

    const leaveTerminal = () => void output.write(LEAVE_PASTES);
    onExit(leaveTerminal, over.signal);
    // After readline's own way back, which ends with its input paused.
    const back = () => void setImmediate(() => over.signal.aborted || begin());
    onSuspend(leaveTerminal, back, over.signal);
    reader.on("line", (line) => {
      lines.push(line);
      reader.prompt();
      if (!goesOn) quiet = callAfter(QUIET_MS, end);
    });
    reader.on("SIGINT", leave);
    // Ctrl-D.
    reader.on("close", () => (lines.length > 0 ? end() : leave()));
    signal.addEventListener("abort", leave, { once: true });
    const begin = () => {
      output.write(MARK_PASTES);
      reader.prompt(true);
    };
    if (signal.aborted) return leave();
    begin();
  });
}
