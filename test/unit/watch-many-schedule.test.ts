/** Who is asked about when, and who together: the scheduler by itself, on a clock that is a number. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DueQueue } from "../../src/async/due-queue.ts";
import { Schedule, type Lane, type Turn } from "../../src/runs/watch/schedule.ts";

interface Named extends Turn {
  readonly name: number;
}

const turn = (name: number, changes: Partial<Turn> = {}): Named => ({
  name,
  lane: "shared",
  dueAt: 0,
  pauseMs: 10_000,
  size: 100,
  ...changes,
});

/** All requests that may be sent at a time, as the names of those they are about. */
function sent(schedule: Schedule<Named>, now: number): { lane: Lane; names: number[] }[] {
  const requests = [];
  for (let next = schedule.next(now); next; next = schedule.next(now)) {
    requests.push({ lane: next.lane, names: next.group.map(({ name }) => name) });
  }
  return requests;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("a queue of what is due", () => {
  it("gives out what was put in, in the order of its times", () => {
    const steps = fc.array(fc.option(fc.nat(1_000)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (times) => {
        const queue = new DueQueue<{ readonly dueAt: number }>();
        const given: (number | undefined)[] = [];
        const right: (number | undefined)[] = [];
        let model: number[] = [];
        for (const dueAt of times) {
          if (dueAt === null) {
            given.push(queue.first?.dueAt, queue.take()?.dueAt);
            right.push(model[0], model[0]);
            model = model.slice(1);
          } else {
            queue.add({ dueAt });
            model = [...model, dueAt].toSorted((a, b) => a - b);
          }
        }
        expect(given).toEqual(right);
        const left = queue.takeAll().map(({ dueAt }) => dueAt);
        expect(left.toSorted((a, b) => a - b)).toEqual(model);
        expect(queue.first).toBeUndefined();
      }),
    );
  });
});

describe("a schedule", () => {
  it("sends nothing before its time, and says when that is", () => {
    const schedule = new Schedule<Named>();
    expect(schedule.waitMs(0)).toBe(Infinity);
    schedule.add(turn(1, { dueAt: 500 }));
    expect(sent(schedule, 499)).toEqual([]);
    expect(schedule.waitMs(100)).toBe(400);
    expect(sent(schedule, 500)).toEqual([{ lane: "shared", names: [1] }]);
  });

  it("takes along runs whose time is near, by their own pause", () => {
    const schedule = new Schedule<Named>();
    schedule.add(turn(1, { dueAt: 0 }));
    schedule.add(turn(2, { dueAt: 1_900 }));
    schedule.add(turn(3, { dueAt: 2_100 }));
    expect(sent(schedule, 0)).toEqual([{ lane: "shared", names: [1, 2] }]);
    expect(schedule.waitMs(0)).toBe(2_100);
  });

  it("lets thirty short answers share a request, and ten long ones", () => {
    const short = new Schedule<Named>();
    const long = new Schedule<Named>();
    for (const name of numbers(55)) {
      short.add(turn(name));
      long.add(turn(name, { size: 2 ** 20 }));
    }
    expect(sent(short, 0).map(({ names }) => names.length)).toEqual([30, 25]);
    expect(sent(long, 0).map(({ names }) => names.length)).toEqual([10, 10, 10, 10, 10, 5]);
  });

  it("has a limit for each lane, so that slow runs hold up nobody else", () => {
    const schedule = new Schedule<Named>();
    for (const name of numbers(30)) schedule.add(turn(name, { lane: "slow" }));
    for (const name of numbers(30)) schedule.add(turn(name, { lane: "suspect" }));
    const requests = sent(schedule, 0);
    expect(requests.every(({ names }) => names.length === 1)).toBe(true);
    expect(requests.filter(({ lane }) => lane === "slow")).toHaveLength(8);
    expect(requests.filter(({ lane }) => lane === "suspect")).toHaveLength(10);
    // What is due and has no room waits for one that comes back.
    expect(schedule.waitMs(0)).toBe(Infinity);
    schedule.add(turn(99));
    expect(sent(schedule, 0)).toEqual([{ lane: "shared", names: [99] }]);
    schedule.over("slow", 1);
    expect(sent(schedule, 0)).toEqual([{ lane: "slow", names: [expect.any(Number)] }]);
    schedule.move("suspect", "slow");
    expect(sent(schedule, 0).map(({ lane }) => lane)).toEqual(["suspect"]);
  });

  it("keeps quiet for all when it is told to, for the longest time", () => {
    const schedule = new Schedule<Named>();
    for (const lane of ["shared", "suspect", "slow"] as const) schedule.add(turn(1, { lane }));
    schedule.keepQuiet(5_000);
    schedule.keepQuiet(1_000);
    expect(sent(schedule, 4_999)).toEqual([]);
    expect(schedule.waitMs(2_000)).toBe(3_000);
    expect(sent(schedule, 5_000)).toHaveLength(3);
  });

  it("loses nobody and asks about nobody twice, whatever comes in whatever order", () => {
    const turns = fc.array(
      fc.record({
        lane: fc.constantFrom<Lane>("shared", "suspect", "slow"),
        dueAt: fc.nat(20_000),
        pauseMs: fc.integer({ min: 50, max: 10_000 }),
        size: fc.nat(2 ** 20),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(turns, (all) => {
        const schedule = new Schedule<Named>();
        for (const [name, one] of all.entries()) schedule.add(turn(name, one));
        const asked: number[] = [];
        for (let now = 0; asked.length < all.length; now += schedule.waitMs(now)) {
          expect(now).toBeLessThanOrEqual(20_000);
          for (const { lane, names } of sent(schedule, now)) {
            asked.push(...names);
            for (const name of names) {
              const { dueAt, pauseMs } = all[name] ?? turn(-1);
              expect(dueAt - now).toBeLessThanOrEqual(0.2 * pauseMs);
            }
            schedule.over(lane, names.length);
          }
          if (sent(schedule, now).length > 0) throw new Error("there was room left");
        }
        expect(asked.toSorted((a, b) => a - b)).toEqual(numbers(all.length));
        expect(schedule.waitMs(0)).toBe(Infinity);
      }),
    );
  });

  it("costs what is due, not what waits", () => {
    let looks = 0;
    const counted = (name: number, dueAt: number): Named => ({
      ...turn(name),
      get dueAt() {
        looks += 1;
        return dueAt;
      },
    });
    const cost = (waiting: number) => {
      const schedule = new Schedule<Named>();
      for (const name of numbers(waiting)) schedule.add(counted(name, name < 30 ? 0 : 1_000_000 + name));
      looks = 0;
      expect(schedule.next(0)?.group).toHaveLength(30);
      expect(schedule.next(0)).toBeUndefined();
      schedule.waitMs(0);
      return looks;
    };
    // Fifty times as many add a few comparisons for each that is due: the logarithm.
    expect(cost(50_000)).toBeLessThan(cost(1_000) * 2.5);
    expect(looks).toBeLessThan(5_000);
  });
});
