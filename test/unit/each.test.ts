/** Work with many items, some at a time: a failure begins nothing more, and is told once nothing is under way. */
import { describe, expect, it } from "vitest";
import { eachOf } from "../../src/async/each.ts";

/** Items of work that end when they are told to. */
function bench() {
  const begun: number[] = [];
  const ends = new Map<number, { resolve(): void; reject(error: unknown): void }>();
  const work = (item: number) =>
    new Promise<void>((resolve, reject) => {
      begun.push(item);
      ends.set(item, { resolve, reject });
    });
  return {
    begun,
    work,
    end: (item: number) => ends.get(item)?.resolve(),
    fail: (item: number) => ends.get(item)?.reject(item),
  };
}

const settled = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe("work with each of many", () => {
  it("is done with so many at a time, in order, and ends with the last", async () => {
    const { begun, work, end } = bench();
    let over = false;
    const all = eachOf([1, 2, 3, 4], 2, work).then(() => (over = true));
    await settled();
    expect(begun).toEqual([1, 2]);
    end(2);
    await settled();
    expect(begun).toEqual([1, 2, 3]);
    for (const item of [1, 3]) end(item);
    await settled();
    expect([begun, over]).toEqual([[1, 2, 3, 4], false]);
    end(4);
    await all;
  });

  it("begins none after one has failed, and tells the first failure when those under way have ended", async () => {
    const { begun, work, fail } = bench();
    const outcomes: unknown[] = [];
    const all = eachOf([1, 2, 3, 4, 5], 3, work).catch((error: unknown) => outcomes.push(error));
    await settled();
    fail(2);
    await settled();
    fail(1);
    await settled();
    expect([begun, outcomes]).toEqual([[1, 2, 3], []]);
    fail(3);
    await all;
    expect([begun, outcomes]).toEqual([[1, 2, 3], [2]]);
  });

  it("of none is over at once", async () => {
    await expect(eachOf([], 3, () => Promise.reject(new Error("of what?")))).resolves.toBeUndefined();
  });
});
