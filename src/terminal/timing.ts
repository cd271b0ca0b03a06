import type { Timing } from "../async/timing.ts";

const LOOK_AFTER_MS = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

/** How long the tool waits on the real machine, see {@link Timing} for what is what. */
export const SYSTEM_TIMING: Timing = {
  connectMs: 10_000,
  retryMs: 500,
  keyringMs: 3_000,
  lock: { staleMs: 5_000, renewMs: 1_000, patienceMs: 15_000, pauseMs: 50 },
  lookAfterMs: LOOK_AFTER_MS,
  doubtMs: 2_000,
  lookLongerMs: [...LOOK_AFTER_MS, 60_000, 120_000, 180_000, 240_000, 330_000],
  afterStopMs: 5_000,
  unstorableMs: 2_000,
  cancelAgainMs: [0, 500, 1_000, 2_000],
  questionMs: 200,
  claim: { patienceMs: 5_000, pauseMs: 100 },
};
