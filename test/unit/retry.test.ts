/** What is tried again, how often, and after how long. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../src/api/api-error.ts";
import { backoff, withRetry } from "../../src/api/retry.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const trouble = (retryAfterMs?: number) =>
  new ApiError("unreachable", "trouble", { procedure: "p", sent: true, transient: true, retryAfterMs });

/** Begins tries that all fail, each with an error of its own. @returns when each began, what it failed with, and the outcome. */
function failing(errorOf: () => unknown, mayRetry = (_error: ApiError) => true, signal?: AbortSignal) {
  const began = Date.now();
  const times: number[] = [];
  const errors: unknown[] = [];
  const outcome: unknown[] = [];
  const attempt = async () => {
    times.push(Date.now() - began);
    errors.push(errorOf());
    throw errors.at(-1);
  };
  void withRetry(attempt, mayRetry, { signal, retryMs: 500 }).catch((error: unknown) => outcome.push(error));
  return { times, errors, outcome };
}

describe("what may be tried again", () => {
  it("is tried three times, and ends with the last error", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { times, errors, outcome } = failing(() => trouble());
    await vi.runAllTimersAsync();
    expect(times).toEqual([0, 250, 750]);
    expect(outcome[0]).toBe(errors[2]);
  });

  it("ends with what a later try gives", async () => {
    let tries = 0;
    const attempt = async () => {
      tries += 1;
      if (tries < 3) throw trouble(0);
      return "well";
    };
    const asked = withRetry(attempt, () => true, { signal: undefined, retryMs: 500 });
    await vi.runAllTimersAsync();
    expect(await asked).toBe("well");
  });

  it.each([
    [0, [0, 0, 0]],
    [7_000, [0, 7_000, 14_000]],
    [60_000, [0, 60_000, 120_000]],
    // Reported instead of waited for.
    [60_001, [0]],
  ])("waits as long as the platform asks for, if that is no more than a minute: %d ms", async (ms, expected) => {
    const { times, errors, outcome } = failing(() => trouble(ms));
    await vi.runAllTimersAsync();
    expect(times).toEqual(expected);
    expect(outcome[0]).toBe(errors.at(-1));
  });

  it("is nothing that the caller does not allow, and no error of another kind", async () => {
    const refused = failing(trouble, (error) => !error.transient);
    const broken = failing(() => Object.assign(new Error("a mistake of ours"), { transient: true }));
    await vi.runAllTimersAsync();
    expect([refused.times, broken.times]).toEqual([[0], [0]]);
    expect([refused.outcome[0], broken.outcome[0]]).toEqual([refused.errors[0], broken.errors[0]]);
  });

  it("is not tried again once it was stopped: what it ends with is the trouble, at once", async () => {
    const stop = new AbortController();
    const { times, errors, outcome } = failing(() => trouble(10_000), undefined, stop.signal);
    await vi.advanceTimersByTimeAsync(5_000);
    stop.abort("SIGINT");
    await vi.advanceTimersByTimeAsync(0);
    expect(outcome[0]).toBe(errors[0]);
    await vi.runAllTimersAsync();
    expect(times).toEqual([0]);
  });
});

it("waits grow twofold up to their cap, and are any part of that", () => {
  const random = vi.spyOn(Math, "random").mockReturnValue(1);
  expect([1, 2, 3, 4, 5, 2_000].map((tries) => backoff(tries, 1_000, 10_000))).toEqual([
    1_000, 2_000, 4_000, 8_000, 10_000, 10_000,
  ]);
  random.mockReturnValue(0);
  expect(backoff(3, 1_000, 10_000)).toBe(0);
});
