/** Times for tests that would otherwise sit through them. What a test hands in itself, it says. */
import type { Timing } from "../../src/timing.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

/**
 * What commands in this process have unless told. Waits that end by themselves are short. What is waited for in vain is given up as late
 * as on the real machine: a test of that says how short it is to be, and no other depends on how fast this machine is.
 */
export const QUICK: Timing = {
  ...SYSTEM_TIMING,
  retryMs: 10,
  lookAfterMs: [0, 50, 100, 200, 500, ...SYSTEM_TIMING.lookAfterMs.slice(1)],
  unstorableMs: 100,
  throttledMs: 10,
  wordlessMs: SYSTEM_TIMING.connectMs,
  cancelAgainMs: SYSTEM_TIMING.cancelAgainMs.map((ms) => ms / 20),
  questionMs: 0,
  completionMs: 20_000,
  claim: { ...SYSTEM_TIMING.claim, pauseMs: 20 },
};

/** For a start whose row is looked for in vain. */
export const BRIEF_SEARCH = { lookAfterMs: [0, 50, 100], lookLongerMs: [0, 50, 100], doubtMs: 50 };

/** For what is cut short by Ctrl-C. */
export const BRIEF_FAREWELL = { afterStopMs: 200 };

/** For a start that meets a claim that nobody gives up. */
export const IMPATIENT = { claim: { patienceMs: 200, pauseMs: 20 } };
