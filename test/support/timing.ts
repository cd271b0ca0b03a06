/** Times for tests that would otherwise sit through them. What a test hands in itself, it says. */
import type { Timing } from "../../src/timing.ts";
import { SYSTEM_TIMING } from "../../src/timing.ts";

/**
 * What commands in this process have unless told. Waits that end by themselves are short; what is waited for in vain is given up a
 * tenth as late as on the real machine where the sandbox has all there is to see by then, else as late as there.
 */
export const QUICK: Timing = {
  ...SYSTEM_TIMING,
  retryMs: 10,
  lookAfterMs: SYSTEM_TIMING.lookAfterMs.map((ms) => ms / 10),
  doubtMs: SYSTEM_TIMING.doubtMs / 10,
  lookLongerMs: SYSTEM_TIMING.lookLongerMs.map((ms) => ms / 10),
  unstorableMs: 100,
  cancelAgainMs: SYSTEM_TIMING.cancelAgainMs.map((ms) => ms / 20),
  questionMs: 0,
  claim: { patienceMs: 500, pauseMs: 20 },
};
