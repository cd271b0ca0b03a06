/** Times for tests that would otherwise sit through them. What a test hands in itself, it says. */
import type { Timing } from "../../src/async/timing.ts";
import { SYSTEM_TIMING } from "../../src/terminal/timing.ts";

/**
 * What commands in this process have unless told. Only waits that end by themselves are short: what is waited for in vain is given up
 * as late as on the real machine, so that no test depends on how fast this one is.
 */
export const QUICK: Timing = {
  ...SYSTEM_TIMING,
  retryMs: 10,
};
