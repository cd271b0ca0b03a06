import * as fc from "fast-check";
import { expect, it } from "vitest";
import { formatDuration } from "../../src/terminal/time.ts";

it.each([
  [2_110, 100, "2.1s"],
  [2_999, 100, "2.9s"],
  [2_150, 50, "2.15s"],
  [62_400, 200, "1m 02.4s"],
  [62_400, 1_000, "1m 02s"],
  [7_830_000, 30_000, "2h 10m 30s"],
  [7_830_000, 60_000, "2h 10m"],
  [180_000_000, 600_000, "2d 2h 00m"],
  [2_110, undefined, "2s"],
  [850, 1, "850ms"],
])("a length of %i ms, told apart by %s ms, is %s", (ms, apart, words) => {
  expect(formatDuration(ms, apart)).toBe(words);
});

it("lengths that differ by as much as is to be told apart look different", () => {
  const step = fc.constantFrom(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 30_000, 60_000, 600_000, 3_600_000);
  fc.assert(
    fc.property(step, fc.nat(2_000), (apart, count) => {
      expect(formatDuration(count * apart, apart)).not.toBe(formatDuration((count + 1) * apart, apart));
    }),
  );
});
