import { setImmediate } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pooled, whileGoing } from "../../src/async/pool.ts";

const all = async <T>(results: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const result of results) found.push(result);
  return found;
};

describe("the pool", () => {
  it("does everything once, never more at a time than it may, in any order of ends", async () => {
    const rounds = fc.array(fc.nat({ max: 5 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(rounds, fc.integer({ min: 1, max: 9 }), async (items, size) => {
        let now = 0;
        let most = 0;
        const indexed = items.map((turns, index) => ({ turns, index }));
        const work = async ({ turns, index }: { turns: number; index: number }) => {
          most = Math.max(most, ++now);
          for (let turn = 0; turn < turns; turn += 1) await setImmediate();
          now -= 1;
          return index;
        };
        const done = await all(pooled(indexed, size, work));
        expect(done.toSorted((a, b) => a - b)).toEqual(indexed.map(({ index }) => index));
        expect(most).toBeLessThanOrEqual(size);
      }),
      { numRuns: 50 },
    );
  });

  it("throws what the work throws, when all that was under way has ended", async () => {
    const ended: number[] = [];
    const work = async (item: number) => {
      if (item === 0) throw new Error("broken");
      await setImmediate();
      ended.push(item);
    };
    await expect(all(pooled([0, 1, 2, 3, 4], 3, work))).rejects.toThrow("broken");
    expect(ended).toEqual([1, 2]);
  });

  it("takes nothing more once it is told to stop", async () => {
    const taken: number[] = [];
    const items = whileGoing([1, 2, 3, 4, 5], () => taken.length < 3);
    await all(pooled(items, 1, async (item) => void taken.push(item)));
    expect(taken).toEqual([1, 2, 3]);
  });
});
