/** The times that users wait. Other tests hand in their own, so that only this one notices when a real one is changed. */
import { expect, it } from "vitest";
import { SYSTEM_TIMING } from "../../src/terminal/timing.ts";

const SECOND = 1_000;

it("the real machine waits as long as is promised", () => {
  expect(SYSTEM_TIMING).toEqual({
    connectMs: 10 * SECOND,
    retryMs: SECOND / 2,
    keyringMs: 3 * SECOND,
    lock: { staleMs: 5 * SECOND, renewMs: SECOND, patienceMs: 15 * SECOND, pauseMs: 50 },
  });
});
