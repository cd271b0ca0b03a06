/** Whose turn it is in a job: targets as mere positions, and no platform. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backlog, type PutOff } from "../../src/bulk/execute/backlog.ts";
import { MAX_SENDS } from "../../src/runs/start/start.ts";

const all = () => true;
/** Takes out so many, or all. */
function taken(backlog: Backlog, most = Infinity): number[] {
  const slots: number[] = [];
  while (slots.length < most) {
    const slot = backlog.take();
    if (slot === undefined) break;
    slots.push(slot);
  }
  return slots;
}
const putOff = (changes: Partial<PutOff> = {}): PutOff => ({ ours: false, sent: false, failed: false, ...changes });

describe("a backlog", () => {
  it("gives out all that wait, in their order, each once", () => {
    const backlog = new Backlog(5, (slot) => slot !== 0 && slot !== 3);
    expect(backlog.hasMore).toBe(true);
    expect(taken(backlog)).toEqual([1, 2, 4]);
    expect(backlog.hasMore).toBe(false);
    expect(backlog.take()).toBeUndefined();
  });

  it("is empty where nobody waits", () => {
    expect(new Backlog(0, all).hasMore).toBe(false);
    expect(new Backlog(3, () => false).hasMore).toBe(false);
    expect(new Backlog(3, () => false).take()).toBeUndefined();
  });

  it("asks whether a target waits when its turn comes", () => {
    const started = new Set<number>();
    const backlog = new Backlog(4, (slot) => !started.has(slot));
    expect(backlog.take()).toBe(0);
    started.add(1).add(3);
    expect(backlog.take()).toBe(2);
    expect(backlog.hasMore).toBe(false);
  });

  it("takes up those first whose turn is next, in the order in which they came", () => {
    const backlog = new Backlog(4, all);
    taken(backlog, 2);
    backlog.putFirst(1);
    expect(backlog.putBack(0, putOff())).toBe(true);
    expect(taken(backlog)).toEqual([1, 0, 2, 3]);
  });

  it("has more where one is to be taken up again, first or last", () => {
    const [first, last] = [new Backlog(1, all), new Backlog(1, all)];
    for (const backlog of [first, last]) expect(taken(backlog)).toEqual([0]);
    first.putFirst(0);
    last.putBehind(0);
    for (const backlog of [first, last]) {
      expect(backlog.hasMore).toBe(true);
      expect(taken(backlog)).toEqual([0]);
      expect(backlog.hasMore).toBe(false);
    }
  });

  it("lets the others go first where one failed, or another command is at it", () => {
    const backlog = new Backlog(4, all);
    taken(backlog, 2);
    backlog.putBack(0, putOff({ failed: true }));
    backlog.putBehind(1);
    expect(taken(backlog)).toEqual([2, 3, 0, 1]);
  });
});

/** How often one that is always put off like this is taken up. */
function turns(putAgain: (backlog: Backlog) => boolean, most = 100): number {
  const backlog = new Backlog(1, all);
  for (let turn = 1; turn <= most; turn++) {
    expect(backlog.take()).toBe(0);
    if (putAgain(backlog)) continue;
    expect(backlog.hasMore).toBe(false);
    return turn;
  }
  return Infinity;
}

describe("a target that comes to nothing again and again is taken up", () => {
  it.each([
    ["three times where another command is at it", 3, (backlog: Backlog) => backlog.putBehind(0)],
    ["six times where its machine tells nothing", 6, (backlog: Backlog) => backlog.putBack(0, putOff({ ours: true }))],
    [
      "as often as a start may be sent",
      MAX_SENDS,
      (backlog: Backlog) => backlog.putBack(0, putOff({ sent: true, failed: true })),
    ],
    ["for ever where the platform fails", Infinity, (backlog: Backlog) => backlog.putBack(0, putOff({ failed: true }))],
    ["for ever where nothing was sent", Infinity, (backlog: Backlog) => backlog.putBack(0, putOff())],
  ])("%s", (_, times, putAgain) => expect(turns(putAgain)).toBe(times));

  it("as often as each, whatever happened to the others", () => {
    const backlog = new Backlog(2, all);
    expect([0, 1, 0, 1].map((slot) => backlog.putBehind(slot))).toEqual([true, true, true, true]);
    expect([0, 1].map((slot) => backlog.putBehind(slot))).toEqual([false, false]);
  });

  it("as often as it may be sent to, not counting what was not sent", () => {
    const backlog = new Backlog(1, all);
    const results = [true, false, false, true, true].map((sent) => backlog.putBack(0, putOff({ sent })));
    expect(MAX_SENDS).toBe(3);
    expect(results).toEqual([true, true, true, true, false]);
  });
});

it("loses nobody and gives nobody out twice, whatever is put back in between", () => {
  const steps = fc.array(fc.constantFrom("first", "back", "failed", "behind", "done"), { maxLength: 60 });
  fc.assert(
    fc.property(fc.nat(8), steps, (size, ways) => {
      const backlog = new Backlog(size, all);
      const ended = new Set<number>();
      for (const way of ways) {
        const had = backlog.hasMore;
        const slot = backlog.take();
        expect(slot !== undefined).toBe(had);
        if (slot === undefined) break;
        expect(ended.has(slot)).toBe(false);
        let isBack = way !== "done";
        if (way === "first") backlog.putFirst(slot);
        if (way === "back" || way === "failed") isBack = backlog.putBack(slot, putOff({ failed: way === "failed" }));
        if (way === "behind") isBack = backlog.putBehind(slot);
        if (!isBack) ended.add(slot);
      }
      const rest = taken(backlog);
      expect([...rest, ...ended].toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, slot) => slot));
    }),
  );
});
