import * as fc from "fast-check";
import { expect, it } from "vitest";
import { isInShard, parseShard } from "../../src/bulk/plan/shard.ts";

it("puts every key into exactly one slice", () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 40 }), (key, of) => {
      const slices = Array.from({ length: of }, (_, index) => ({ number: index + 1, of }));
      expect(slices.filter((slice) => isInShard(key, slice))).toHaveLength(1);
    }),
  );
});

it("makes slices of about the same size, and the same ones for ever", () => {
  const keys = Array.from(
    { length: 4_000 },
    (_, index) => `d0000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
  );
  for (const number of [1, 2, 3, 4]) {
    const size = keys.filter((key) => isInShard(key, { number, of: 4 })).length;
    expect(Math.abs(size - 1_000)).toBeLessThan(120);
  }
  // Machines of one job may run different versions of this tool.
  expect(keys.slice(0, 12).map((key) => [1, 2, 3].find((number) => isInShard(key, { number, of: 3 })))).toEqual([
    3, 1, 2, 1, 1, 2, 2, 1, 3, 1, 2, 2,
  ]);
});

it.each([
  ["1/1", { number: 1, of: 1 }],
  ["3/4", { number: 3, of: 4 }],
  ["0/4", undefined],
  ["5/4", undefined],
  ["1/0", undefined],
  ["1/10001", undefined],
  ["1", undefined],
  ["-1/4", undefined],
  ["1/4 ", undefined],
])("reads %j", (text, shard) => expect(parseShard(text)).toEqual(shard));
