import type { Timing } from "../async/timing.ts";

/** How long the tool waits on the real machine, see {@link Timing} for what is what. */
export const SYSTEM_TIMING: Timing = {
  connectMs: 10_000,
  retryMs: 500,
  keyringMs: 3_000,
  lock: { staleMs: 5_000, renewMs: 1_000, patienceMs: 15_000, pauseMs: 50 },
};
