import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { STATES_IN_ORDER } from "../../src/bulk/item-state.ts";
import type { Item } from "../../src/bulk/item.ts";
import { makeReport } from "../../src/bulk/report/report.ts";
import { facts, itemOf, jobOf, TEMPLATE } from "../support/bulk-job.ts";
import { growth, LINEAR } from "../support/growth.ts";

const NOON = Date.parse("2026-11-25T12:00:00Z");

/** A run's time: when it began and how long it took, which may be anything from nothing to days, or not over. */
const span = fc.record({
  at: fc.oneof(fc.nat(5_000), fc.nat(3_600_000), fc.nat(90 * 3_600_000)),
  took: fc.option(fc.oneof(fc.nat(50), fc.nat(600_000), fc.nat(80 * 3_600_000))),
  attached: fc.boolean(),
});
const spans = fc.array(span, { minLength: 1, maxLength: 60 });
const itemsOf = (all: readonly { at: number; took: number | null; attached: boolean }[]): Item[] =>
  all.map(({ at, took, attached }, index) =>
    itemOf(index + 1, {
      state: took === null ? "running" : "completed",
      startedAt: new Date(NOON + at),
      completedAt: took === null ? null : new Date(NOON + at + took),
      attached,
    }),
  );
const report = (items: Iterable<Item>, endedAt: Date | null = null) =>
  makeReport(facts({ endedAt }), [...items], TEMPLATE);
const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);

describe("a job's report", () => {
  it("counts every target once, and has each in the plan's order", () => {
    const { items, facts } = jobOf(400);
    const { totals, groups, items: reported } = makeReport(facts, items.toReversed(), TEMPLATE);
    expect(Object.keys(totals)).toEqual(STATES_IN_ORDER);
    for (const state of STATES_IN_ORDER) {
      expect(totals[state]).toBe(items.filter((item) => item.state === state).length);
      expect(totals[state]).toBeGreaterThan(0);
    }
    expect(reported.map(({ index }) => index)).toEqual(Array.from({ length: 400 }, (_, index) => index + 1));
    expect(sum(groups.map(({ count }) => count))).toBe(reported.filter(({ signature }) => signature !== null).length);
  });

  it("groups what has its signature in common, the largest group first, and names some of it", () => {
    const { items, facts } = jobOf(2_000);
    const { groups, items: reported } = makeReport(facts, items, TEMPLATE);
    expect(groups.length).toBeLessThan(20);
    expect(groups.map(({ count }) => count)).toEqual(groups.map(({ count }) => count).toSorted((a, b) => b - a));
    for (const { signature, state, count, samples } of groups) {
      const same = reported.filter((item) => item.signature === signature);
      expect(same).toHaveLength(count);
      expect(new Set(same.map((item) => item.state))).toEqual(new Set([state]));
      expect(samples).toEqual(same.slice(0, 5).map(({ index, named, runId }) => ({ index, named, runId })));
    }
  });

  it("says of a target that could not be planned why", () => {
    const target = { planned: "ambiguous", detail: "two instances" } as const;
    const { items } = report([itemOf(1, { state: "unplanned", runId: null, problem: target.detail, target })]);
    expect(items[0]).toMatchObject({ signature: "unplanned, ambiguous", problem: "two instances" });
  });

  it("repeats no token", () => {
    const token = "eyJhbGciOiJIUzI1NiJ9.eyJraWxvVXNlcklkIjoiYWJjIn0.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0";
    const made = report([itemOf(1, { state: "refused", problem: `no: Bearer ${token}` })]);
    expect(JSON.stringify(made)).not.toContain("c2lnbmF0");
    expect(made.items[0]?.problem).toBe("no: Bearer [redacted]");
  });

  it("is empty of a job of which nothing has begun", () => {
    const { durations, histogram, timeline, groups } = report([
      itemOf(1, { state: "waiting", runId: null, startedAt: null, completedAt: null }),
    ]);
    expect(durations).toEqual({ count: 0, p50Ms: null, p90Ms: null, maxMs: null });
    expect([histogram, timeline, groups]).toEqual([[], [], []]);
  });
});

describe("how long runs took", () => {
  it("is counted in buckets of one width, each run in the one it belongs to", () => {
    fc.assert(
      fc.property(spans, (all) => {
        const { durations, histogram } = report(itemsOf(all));
        const took = all.flatMap((one) => one.took ?? []).toSorted((a, b) => a - b);
        expect(durations.count).toBe(took.length);
        expect(durations.maxMs).toBe(took.at(-1) ?? null);
        for (const [part, at] of [[0.5, durations.p50Ms] as const, [0.9, durations.p90Ms] as const]) {
          if (at === null) continue;
          expect(took).toContain(at);
          expect(took.filter((ms) => ms <= at).length).toBeGreaterThanOrEqual(took.length * part);
          expect(took.filter((ms) => ms < at).length).toBeLessThan(took.length * part);
        }
        expect(histogram.length).toBeLessThanOrEqual(17);
        expect(sum(histogram.map(({ count }) => count))).toBe(took.length);
        for (const { fromMs, toMs, count } of histogram) {
          expect(took.filter((ms) => ms >= fromMs && ms < (toMs ?? Infinity))).toHaveLength(count);
        }
        histogram.slice(1).forEach(({ fromMs }, index) => expect(fromMs).toBe(histogram[index]?.toMs));
        expect(
          new Set(histogram.flatMap(({ fromMs, toMs }) => (toMs === null ? [] : toMs - fromMs))).size,
        ).toBeLessThan(2);
      }),
    );
  });

  it("is told apart where most took minutes, though one took a day", () => {
    const minutes = Array.from({ length: 99 }, (_, index) => ({
      at: 0,
      took: 60_000 + index * 2_000,
      attached: false,
    }));
    const { histogram } = report(itemsOf([...minutes, { at: 0, took: 24 * 3_600_000, attached: false }]));
    expect(histogram.filter(({ count }) => count > 0).length).toBeGreaterThan(7);
    expect(histogram.at(-1)).toMatchObject({ toMs: null });
    expect(histogram[0]).toEqual({ fromMs: 60_000, toMs: 90_000, count: 15 });
  });
});

describe("runs over time", () => {
  it("are counted as they begin, go on and end", () => {
    fc.assert(
      fc.property(spans, fc.option(fc.nat(200 * 3_600_000)), (all, ended) => {
        const { timeline } = report(itemsOf(all), ended === null ? null : new Date(NOON + ended));
        expect(timeline.length).toBeGreaterThan(0);
        expect(timeline.length).toBeLessThanOrEqual(60);
        timeline.slice(1).forEach(({ from }, index) => expect(from).toEqual(timeline[index]?.to));
        const end = timeline.at(-1)?.to.getTime() ?? 0;
        const times = all.map(({ at, took }) => ({
          from: NOON + at,
          // One that took no time went on for a moment.
          to: took === null ? end : NOON + at + Math.max(1, took),
        }));
        for (const { from, to, started, ended, running } of timeline) {
          const within = (time: number) => time >= from.getTime() && time < to.getTime();
          expect(started).toBe(times.filter((one) => within(one.from)).length);
          expect(ended).toBe(times.filter((one) => within(one.to)).length);
          // The most at a time is reached where the part begins, or where a run does.
          const moments = [from.getTime(), ...times.map((one) => one.from).filter(within)];
          const goingOn = (moment: number) => times.filter((one) => one.from <= moment && one.to > moment).length;
          // What goes on as the part begins may end at that very moment.
          const carried = times.filter((one) => one.from < from.getTime() && one.to >= from.getTime()).length;
          expect(running).toBe(Math.max(carried, ...moments.map(goingOn)));
        }
      }),
    );
  });

  it("leave out the time before the job's first start, but not the runs that went on then", () => {
    const before = { at: -3 * 3_600_000, took: 4 * 3_600_000, attached: true };
    const { timeline } = report(itemsOf([before, { at: 0, took: 60_000, attached: false }]));
    expect(timeline[0]).toMatchObject({ from: new Date(NOON), started: 1, running: 2 });
  });
});

it("takes time that grows with the targets alone, of which it can have fifty thousand", async () => {
  const grown = await growth(50_000, (size) => {
    const { items, facts } = jobOf(size);
    return () => expect(makeReport(facts, items, TEMPLATE).items).toHaveLength(size);
  });
  expect(grown).toBeLessThan(LINEAR);
});
