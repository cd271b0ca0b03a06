/** Which exit codes each fault may lead to: the fault matrix, as a table that the campaign judges by. */
import type { FaultName } from "./faults.ts";

export const COMMANDS = ["start", "watch", "cancel", "list"] as const;
export type CommandName = (typeof COMMANDS)[number];

/**
 * What a fault does to the call that it strikes.
 *
 * - `[code]`: tried again a few times, then this.
 * - a number: this, at once.
 * - `look`: whether the start happened is found out by its row: 0 when it is found, else 7.
 * - `ask`: what became of the run is asked: 0 when it is known, 7 when it is not, 11 when it is known to go on.
 * - `go on`: the run is not affected, and is asked about again and again; 8 at the time limit.
 * - `pass`: nothing to notice.
 * - `never`: such an answer does not come for such a call.
 */
type Effect = readonly [number] | number | "look" | "ask" | "go on" | "pass" | "never";

interface Row {
  /** Lookups: of users, instances and runs, for whatever command. */
  readonly reads: Effect;
  /** The start request. */
  readonly start: Effect;
  /** The cancel request, or the status that is asked after it. */
  readonly cancel: Effect;
  /** A status that a watch asks for. */
  readonly status: Effect;
}

const unsent = { reads: [11], start: [11], cancel: "ask", status: "go on" } as const;
const lost = { reads: [11], start: "look", cancel: "ask", status: "go on" } as const;
const garbled = { reads: [1], start: "look", cancel: "ask", status: [1] } as const;
const refused = { reads: 4, start: 4, cancel: 4, status: 4 } as const;
const unreadable = { reads: 1, start: "look", cancel: "ask", status: 1 } as const;
const nothing = { reads: "pass", start: "pass", cancel: "pass", status: "pass" } as const;
const signal = (code: number) => ({ reads: code, start: code, cancel: code, status: code });

export const MATRIX: Readonly<Record<FaultName, Row>> = {
  dns: unsent,
  refused: unsent,
  tls: unsent,
  "connect-timeout": unsent,
  reset: lost,
  eof: lost,
  blackhole: lost,
  "429": { ...lost, start: [11] },
  // Only the platform's own refusal proves that nothing was done.
  "429-edge": lost,
  "500": lost,
  "502": lost,
  "503": lost,
  "401": refused,
  "403": refused,
  // Likewise. Only the platform itself refuses a token.
  "403-edge": lost,
  portal: lost,
  contradiction: lost,
  "409": { reads: "never", start: "look", cancel: "ask", status: "never" },
  "bad-json": garbled,
  "wrong-shape": garbled,
  truncated: garbled,
  "over-cap": unreadable,
  redirect: lost,
  "garbage-headers": lost,
  "switching-protocols": lost,
  "gzip-garbage": lost,
  slow: nothing,
  duplicated: { ...nothing, reads: [11], start: "look", cancel: "ask" },
  delayed: lost,
  SIGINT: signal(130),
  SIGTERM: signal(143),
  SIGHUP: signal(129),
  "stdout-closed": nothing,
  "unwritable-state": { ...nothing, start: 12 },
  "two-processes": { ...nothing, start: 6 },
};

/** What happened to a command, as the proxy has seen it. */
export interface Struck {
  readonly fault: FaultName;
  readonly command: CommandName;
  /** What was struck first: a lookup, or the call that the command is about. Nothing: the fault came too late. */
  readonly first: "reads" | "main" | "nothing";
  readonly main: boolean;
  readonly mainSent: boolean;
  /** Only the profile was struck, which nothing depends on. */
  readonly onlyProfile: boolean;
  /** How many exchanges it could strike. */
  readonly lasts: number;
  /** How often the sandbox was handed the start. */
  readonly delivered: number;
}

/** The exit codes that are right. */
export function rightExits(struck: Struck): readonly number[] {
  const { fault, command, first, main, lasts } = struck;
  // A connection that is never made is nothing that the proxy sees.
  if (first === "nothing") return fault === "connect-timeout" ? [0, 11] : [0];
  const row = MATRIX[fault];
  const column = command === "list" ? "reads" : command === "watch" ? "status" : command;
  const possible = new Set<number>();
  if (first === "reads") for (const code of exits(row.reads, struck)) possible.add(code);
  if (first === "main" || (main && lasts > 1)) for (const code of exits(row[column], struck)) possible.add(code);
  // The cancel that follows says what became of the run.
  if (command === "cancel" && first === "reads" && row.reads === 1) possible.add(0);
  // The look at the machine before a watch is within its time limit too.
  if (command === "watch" && fault === "blackhole") possible.add(8);
  return [...possible].toSorted((a, b) => a - b);
}

function exits(effect: Effect, { fault, first, lasts, delivered, onlyProfile, mainSent }: Struck): readonly number[] {
  if (typeof effect === "number") {
    // A signal can come when all is said, and a second process when the first is through.
    return onlyProfile || effect > 100 || fault === "two-processes" ? [0, effect] : [effect];
  }
  if (typeof effect === "object") return lasts <= 2 ? [0] : [0, effect[0]];
  switch (effect) {
    case "look":
      if (fault === "409") return delivered === 0 ? [7] : lasts === 1 ? [0, 6] : [0, 6, 7];
      if (fault === "duplicated") return [0, 6];
      if (delivered === 0) return [7];
      return lasts === 1 && fault !== "delayed" ? [0] : [0, 7];
    case "ask":
      if (!mainSent) return [0, 11];
      return lasts === 1 ? [0] : [0, 7, 11];
    case "go on":
      // Waiting for an answer that does not come takes longer than the time limit.
      return lasts === Infinity || fault === "blackhole" ? [0, 8, ...(first === "reads" ? [11] : [])] : [0];
    case "pass":
    case "never":
      return [0];
  }
}
