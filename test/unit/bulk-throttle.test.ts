import { beforeEach, describe, expect, it } from "vitest";
import { Throttle } from "../../src/bulk/execute/throttle.ts";

let now = 0;
const clock = () => now;
const throttle = (given: { concurrency?: number; rate?: number | null } = {}) =>
  new Throttle({ concurrency: 8, rate: null, ...given, now: clock });

/** Starts that the throttle lets begin at this moment. */
function beginAll(one: Throttle): number {
  let begun = 0;
  for (; one.untilNext() === 0; begun++) one.begin();
  return begun;
}

beforeEach(() => {
  now = 0;
});

describe("the pace of a job", () => {
  it("has no more starts under way than it may", () => {
    const one = throttle({ concurrency: 3 });
    expect(beginAll(one)).toBe(3);
    expect(one.untilNext()).toBe(Infinity);
    one.end();
    expect(beginAll(one)).toBe(1);
  });

  it("keeps starts apart as the rate wants it", () => {
    const one = throttle({ concurrency: 100, rate: 4 });
    let begun = 0;
    for (now = 0; now < 10_000; now += 10) begun += beginAll(one);
    expect(begun).toBe(40);
  });

  it("does not make up for what it did not start in time", () => {
    const one = throttle({ concurrency: 100, rate: 1 });
    expect(beginAll(one)).toBe(1);
    now = 60_000;
    expect(beginAll(one)).toBe(1);
  });

  it("halves when the platform asks for less, once for what is said at one moment, and never below one", () => {
    const one = throttle();
    for (let said = 0; said < 5; said++) one.pushedBack(undefined);
    expect(one.limit).toBe(4);
    for (let said = 0; said < 9; said++) {
      now += 40_000;
      one.pushedBack(undefined);
    }
    expect(one.limit).toBe(1);
  });

  it("grows by one for each round that goes well, up to what it may", () => {
    const one = throttle();
    one.pushedBack(undefined);
    for (let answer = 0; answer < 5; answer++) one.answered(100);
    expect(one.limit).toBe(5);
    for (let answer = 0; answer < 100; answer++) one.answered(100);
    expect(one.limit).toBe(8);
  });

  it("starts nothing until a Retry-After is over, and takes none for longer than a minute", () => {
    const one = throttle();
    one.pushedBack(7_000);
    expect(one.untilNext()).toBe(7_000);
    now = 6_999;
    expect(beginAll(one)).toBe(0);
    now = 7_000;
    expect(beginAll(one)).toBe(4);
    one.pushedBack(3_600_000);
    expect(one.pausedMs).toBe(60_000);
  });

  it("pauses for longer each time where the platform does not say for how long", () => {
    const one = throttle();
    const pauses = Array.from({ length: 7 }, () => {
      one.pushedBack(undefined);
      const { pausedMs } = one;
      now += pausedMs;
      return pausedMs;
    });
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    one.answered(100);
    one.pushedBack(undefined);
    expect(one.pausedMs).toBe(1_000);
  });

  it("takes what several starts say at one moment for one trouble, but waits for as long as one of them was asked to", () => {
    const one = throttle();
    for (let said = 0; said < 5; said++) one.pushedBack(undefined);
    expect(one.pausedMs).toBe(1_000);
    // A Retry-After counts within a pause, too, and does not shorten it.
    one.pushedBack(7_000);
    one.failed(10);
    expect(one.pausedMs).toBe(7_000);
    now = 7_000;
    one.pushedBack(undefined);
    expect(one.pausedMs).toBe(2_000);
  });

  it("takes five starts in a row without a way to the platform for trouble of all, and knows since when", () => {
    const one = throttle();
    for (let failed = 0; failed < 4; failed++) one.unreached();
    expect(one.pausedMs).toBe(0);
    now = 500;
    one.unreached();
    expect(one.pausedMs).toBe(1_000);
    expect(one.troubledMs).toBe(500);
    one.answered(100);
    expect(one.troubledMs).toBe(0);
    for (let failed = 0; failed < 4; failed++) one.unreached();
    expect(one.limit).toBe(4);
  });

  it("pauses at once where the platform fails, for longer each time, and knows since when, until the platform asks for less or answers", () => {
    const one = throttle();
    one.failed(undefined);
    expect(one.pausedMs).toBe(1_000);
    expect(one.limit).toBe(4);
    now = 1_000;
    one.failed(3_000);
    expect(one.pausedMs).toBe(3_000);
    now = 4_000;
    expect(one.troubledMs).toBe(4_000);
    one.failed(undefined);
    expect(one.pausedMs).toBe(2_000);
    one.pushedBack(1);
    expect(one.troubledMs).toBe(0);
    one.failed(undefined);
    now = 5_000;
    one.failed(undefined);
    expect(one.troubledMs).toBe(1_000);
  });

  it("slows down for an answer that takes much longer than they do, and not for the first slow one of all", () => {
    const one = throttle();
    one.answered(20_000);
    expect(one.limit).toBe(8);
    for (let answer = 0; answer < 21; answer++) one.answered(300);
    one.answered(4_000);
    expect(one.limit).toBe(8);
    one.answered(6_000);
    expect(one.limit).toBe(4);
  });

  it("takes for usual what lies in the middle, and what has not become usual meanwhile", () => {
    const uneven = throttle();
    for (const tookMs of [1_000, 30_000, 1_000]) uneven.answered(tookMs);
    now = 10_000;
    const { limit } = uneven;
    uneven.answered(21_000);
    expect(uneven.limit).toBeLessThan(limit);

    const slower = throttle();
    for (const tookMs of [300, 4_000]) for (let answer = 0; answer < 30; answer++) slower.answered(tookMs);
    slower.answered(10_000);
    expect(slower.limit).toBe(8);
  });
});
