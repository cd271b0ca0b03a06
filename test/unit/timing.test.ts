/** The times that users wait. Other tests hand in their own, so that only this one notices when a real one is changed. */
import { expect, it } from "vitest";
import { SYSTEM_TIMING } from "../../src/timing.ts";

const SECOND = 1_000;

it("the real machine waits as long as is promised", () => {
  const looks = [0, 1, 2, 4, 8, 15, 30].map((seconds) => seconds * SECOND);
  expect(SYSTEM_TIMING).toEqual({
    connectMs: 10 * SECOND,
    retryMs: SECOND / 2,
    keyringMs: 3 * SECOND,
    lock: { staleMs: 5 * SECOND, renewMs: SECOND, patienceMs: 15 * SECOND, pauseMs: 50 },
    lookAfterMs: looks,
    doubtMs: 2 * SECOND,
    lookLongerMs: [...looks, ...[60, 120, 180, 240, 330].map((seconds) => seconds * SECOND)],
    afterStopMs: 5 * SECOND,
    unstorableMs: 2 * SECOND,
    cancelAgainMs: [0, SECOND / 2, SECOND, 2 * SECOND],
    questionMs: SECOND / 5,
    claim: { patienceMs: 5 * SECOND, pauseMs: 100 },
    freshMs: 2 * SECOND,
    throttledMs: SECOND,
    wordlessMs: SECOND,
    job: {
      drainMs: 5 * SECOND,
      attemptMs: 200 * SECOND,
      endMs: 7 * SECOND,
      patienceMs: 5 * 60 * SECOND,
      pauseMs: SECOND,
    },
    doctor: { usualMs: 5 * SECOND, answerMs: 6 * SECOND, adminMs: 8 * SECOND, totalMs: 18 * SECOND },
    othersMs: 5 * SECOND,
    refreshMs: 3 * SECOND,
    filterMs: 500,
    completionMs: 250,
  });
});
