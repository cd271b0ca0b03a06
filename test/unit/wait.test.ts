/** Waits longer than Node's timers can hold, which fire at once there. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { callAfter, wait } from "../../src/async/wait.ts";

const DAY_MS = 86_400_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a wait", () => {
  it.each([0, 1, 2 ** 31 - 1, 2 ** 31, 30 * DAY_MS, 365 * DAY_MS])(
    "of %d ms is over then, and not before",
    async (ms) => {
      let over = false;
      void wait(ms).then(() => (over = true));
      await vi.advanceTimersByTimeAsync(Math.max(0, ms - 1));
      expect(over).toBe(ms === 0);
      await vi.advanceTimersByTimeAsync(1);
      expect(over).toBe(true);
    },
  );

  it("ends with its signal's reason, and leaves no timer", async () => {
    const stop = new AbortController();
    const waiting = wait(365 * DAY_MS, stop.signal);
    stop.abort("SIGINT");
    await expect(waiting).rejects.toBe("SIGINT");
    await expect(wait(1, stop.signal)).rejects.toBe("SIGINT");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("can be for ever, and cancelled", async () => {
    const callback = vi.fn<() => void>();
    const timer = callAfter(Infinity, callback);
    await vi.advanceTimersByTimeAsync(100 * DAY_MS);
    timer.cancel();
    expect(callback).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
