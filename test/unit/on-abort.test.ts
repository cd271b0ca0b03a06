/** Signals that abort work: none piles anything up on the one that ends the whole program. */
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { graceAfter } from "../../src/async/grace.ts";
import { limit } from "../../src/async/limit.ts";
import { onAbort, unlessAborted } from "../../src/async/on-abort.ts";
import { wait } from "../../src/async/wait.ts";

const DAY_MS = 86_400_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("what is called on abort", () => {
  it("is called once, in order, unless it was released before", () => {
    const stop = new AbortController();
    const called: number[] = [];
    const all = [1, 2, 3].map((number) => onAbort(stop.signal, () => void called.push(number)));
    all[1]?.release();
    all[1]?.release();
    stop.abort();
    expect(called).toEqual([1, 3]);
    onAbort(stop.signal, () => void called.push(4)).release();
    expect(called).toEqual([1, 3, 4]);
  });

  it("is called where it was added while others are", () => {
    const stop = new AbortController();
    const called: string[] = [];
    onAbort(stop.signal, () => {
      called.push("first");
      onAbort(stop.signal, () => void called.push("added"));
    });
    stop.abort();
    expect(called).toEqual(["first", "added"]);
  });

  it("stays called for when another is released, and leaves nothing behind once all are", () => {
    const stop = new AbortController();
    const called: string[] = [];
    const [first, second] = ["first", "second"].map((name) => onAbort(stop.signal, () => void called.push(name)));
    first?.release();
    first?.release();
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
    second?.release();
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
    onAbort(stop.signal, () => void called.push("third"));
    second?.release();
    stop.abort();
    expect(called).toEqual(["third"]);
  });

  it.each([
    ["waits", (signal: AbortSignal) => void wait(DAY_MS, signal).catch(() => undefined)],
    ["time limits", (signal: AbortSignal) => void limit(signal, DAY_MS)],
    ["graces", (signal: AbortSignal) => void graceAfter(signal, DAY_MS)],
    ["work", (signal: AbortSignal) => void unlessAborted(signal, new Promise(() => undefined)).catch(() => undefined)],
  ])("is one listener for any number of %s", (_what, begin) => {
    const stop = new AbortController();
    for (let number = 0; number < 100; number += 1) begin(stop.signal);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(1);
    stop.abort();
    vi.advanceTimersByTime(DAY_MS);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a time limit", () => {
  it.each([1, 2 ** 31, 365 * DAY_MS])("of %d ms aborts then, and not before", async (ms) => {
    const { signal } = new AbortController();
    const time = limit(signal, ms);
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect([time.signal.aborted, time.expired]).toEqual([false, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect([time.signal.aborted, time.expired]).toEqual([true, true]);
  });

  it("of no time is none", async () => {
    const time = limit(undefined, undefined);
    await vi.advanceTimersByTimeAsync(DAY_MS);
    expect([time.signal.aborted, time.expired]).toEqual([false, false]);
  });

  it("tells what ended the work before its time from the time itself", async () => {
    const stop = new AbortController();
    const time = limit(stop.signal, 10);
    stop.abort("SIGINT");
    await vi.advanceTimersByTimeAsync(10);
    expect(time.signal.reason).toBe("SIGINT");
    expect(time.expired).toBe(false);
    expect(limit(stop.signal, undefined).signal.reason).toBe("SIGINT");
  });

  it("leaves nothing behind once it is released", () => {
    const stop = new AbortController();
    for (const [of, ms] of [
      [stop.signal, 10],
      [stop.signal, undefined],
      [undefined, 10],
      [undefined, undefined],
    ] as const) {
      const time = limit(of, ms);
      time.release();
      vi.advanceTimersByTime(10);
      expect([time.signal.aborted, time.expired]).toEqual([false, false]);
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(stop.signal, "abort")).toHaveLength(0);
  });
});

it("work that nothing comes of ends with the signal, and what it comes to later is of no interest", async () => {
  const stop = new AbortController();
  const failing = wait(10).then(() => Promise.reject(new Error("too late")));
  const ended = unlessAborted(stop.signal, failing);
  stop.abort("SIGINT");
  await expect(ended).rejects.toBe("SIGINT");
  await vi.advanceTimersByTimeAsync(10);
  const other = new AbortController();
  await expect(unlessAborted(other.signal, Promise.resolve(1))).resolves.toBe(1);
  await vi.advanceTimersByTimeAsync(0);
  expect(getEventListeners(other.signal, "abort")).toHaveLength(0);
});
