/** Waits longer than Node's timers can hold, which fire at once there. */
import { getEventListeners } from "node:events";
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

  it("keeps the process up, unless it need not stay for it", async () => {
    vi.useRealTimers();
    const set = vi.spyOn(globalThis, "setTimeout");
    const kept = () => set.mock.results.splice(0).map(({ value }) => (value as NodeJS.Timeout).hasRef());
    const stop = new AbortController();
    const waiting = [
      wait(DAY_MS, stop.signal),
      wait(DAY_MS, stop.signal, {}),
      wait(DAY_MS, stop.signal, { ref: true }),
      wait(DAY_MS, stop.signal, { ref: false }),
    ];
    const timers = [callAfter(DAY_MS, () => undefined), callAfter(DAY_MS, () => undefined, { ref: false })];
    expect(kept()).toEqual([true, true, true, false, true, false]);
    for (const timer of timers) timer.cancel();
    stop.abort("over");
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === "rejected")).toBe(true);
    set.mockRestore();
  });

  it("leaves nothing on its signal once it is over", async () => {
    const { signal } = new AbortController();
    const waiting = wait(10, signal);
    await vi.advanceTimersByTimeAsync(10);
    await waiting;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});
