import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WORST_FIRST, worstResult } from "../../src/commands/runs/watch/worst-result.ts";
import { tailOf } from "../../src/runs/output/tail.ts";
import { startedRun } from "../../src/runs/run.ts";
import { CADENCE, discoveryPauseMs, fairShare, hurryMs, pauseMs, wishedMs } from "../../src/runs/watch/cadence.ts";
import type { Watched } from "../../src/runs/watch/watched.ts";

const calm = { intervalMs: undefined, tookMs: 10, slowdown: 1, size: 100, share: Infinity, chance: 0.5 };

describe("the pause before a run is asked about again", () => {
  it("grows from 2 s to 10 s with the silence", () => {
    const silences = fc.tuple(fc.nat(100_000), fc.nat(100_000));
    fc.assert(
      fc.property(silences, ([a, b]) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)].map((silentMs) => pauseMs({ ...calm, silentMs }));
        expect(less).toBeGreaterThanOrEqual(CADENCE.quickPollMs);
        expect(less).toBeLessThanOrEqual(more ?? 0);
        expect(more).toBeLessThanOrEqual(CADENCE.slowPollMs);
      }),
    );
  });

  it("is the user's, a platform in trouble and large outputs apart", () => {
    const given = { ...calm, silentMs: 60_000, intervalMs: 500 };
    expect(pauseMs(given)).toBe(500);
    expect(pauseMs({ ...given, slowdown: 4 })).toBe(2_000);
    expect(pauseMs({ ...given, tookMs: 3_000 })).toBe(6_000);
    expect(pauseMs({ ...given, size: 1_000_000, share: 100_000 })).toBe(10_000);
    expect(pauseMs({ ...given, chance: 0 })).toBeCloseTo(450);
    expect(pauseMs({ ...given, chance: 1 })).toBeCloseTo(550);
  });

  it("keeps all together within the budget, and gives nobody less than another who wants as much", () => {
    const demands = fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(demands, fc.integer({ min: 1, max: 10_000_000 }), (wanted, budget) => {
        const share = fairShare(wanted, budget);
        const spent = wanted.reduce((sum, demand) => sum + Math.min(demand, share), 0);
        const all = wanted.reduce((sum, demand) => sum + demand, 0);
        expect(spent).toBeLessThanOrEqual(budget * 1.000_001);
        expect(spent).toBeGreaterThanOrEqual(Math.min(budget, all) * 0.999_999);
      }),
    );
  });

  it("calls a request late by what is usual", () => {
    expect(hurryMs([])).toBe(2_000);
    expect(hurryMs([100, 45_000, 120])).toBe(2_000);
    expect(hurryMs([3_000, 3_000, 10])).toBe(12_000);
    expect(hurryMs([45_000])).toBe(20_000);
  });
});

describe("the cadence of a watch", () => {
  it("is what the README and the rules for bad times promise", () => {
    expect(CADENCE).toEqual({
      quickPollMs: 2_000,
      slowPollMs: 10_000,
      firstBackoffMs: 1_000,
      longestBackoffMs: 20_000,
      shortestBackoffMs: 500,
      longestRetryAfterMs: 60_000,
      patienceMs: 300_000,
      maxNotUnderstood: 3,
      discoveryMs: 10_000,
      quickestDiscoveryMs: 1_000,
    });
  });

  it("eases with the silence, and is the user's where there is one", () => {
    const silences = [0, 6_000, 9_000, 30_000, 300_000];
    expect(silences.map((silentMs) => wishedMs(silentMs, undefined))).toEqual([2_000, 2_000, 3_000, 10_000, 10_000]);
    expect(silences.map((silentMs) => wishedMs(silentMs, 50))).toEqual([50, 50, 50, 50, 50]);
  });

  it("looks for new runs as often as it may ask, every 1 to 10 s", () => {
    expect([undefined, 50, 3_000, 60_000].map(discoveryPauseMs)).toEqual([10_000, 1_000, 3_000, 10_000]);
  });
});

describe("the end of an output", () => {
  it.each([
    ["", null],
    ["\n \n", null],
    ["one\ntwo\n\n", "two"],
    ["one\n  two  ", "two"],
    [`${"x".repeat(1_000)}`, "x".repeat(400)],
    ["half \ud83e", "half \ud83e"],
  ])("%j: %j", (output, lastLine) => expect(tailOf(output).lastLine).toBe(lastLine));
});

describe("the worst of several results", () => {
  const run = startedRun({
    id: "r",
    userId: "u",
    userEmail: null,
    instanceId: "i",
    initiatedBy: "admin",
    initiatedByAdminId: null,
    initiatedByAdminEmail: null,
    prompt: "",
    startedAt: new Date(0),
  });
  const like = (state: Watched["state"], changes: Partial<Watched["run"]> = {}): Watched => ({
    run: { ...run, ...changes },
    state,
    lastLine: null,
    problem: null,
    unstorable: false,
  });
  const examples = {
    "run-failed": like("ended", { status: "failed", exitCode: 1 }),
    "outcome-unknown": like("ended", { status: "failed", outcomeUnknown: true }),
    "run-cancelled": like("ended", { status: "cancelled" }),
    "still-running": like("running"),
    conflict: like("machine-down"),
  };

  it("is nothing when all completed, and one that gives no answer may still run", () => {
    expect(worstResult([])).toBeUndefined();
    expect(worstResult([like("ended", { status: "completed" })])).toBeUndefined();
    expect(worstResult([like("given-up")])).toBe("still-running");
  });

  it("is the first in the order, in whatever order the runs come", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...WORST_FIRST], { minLength: 1 }), (kinds) => {
        const worst = WORST_FIRST.find((kind) => kinds.includes(kind));
        expect(worstResult(kinds.map((kind) => examples[kind]))).toBe(worst);
      }),
    );
  });
});
