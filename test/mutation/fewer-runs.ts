/** Properties are tried less often here, and always alike: each change would have to wait for all of them, instrumented. */
import type * as FastCheck from "fast-check";
import { vi } from "vitest";

const MOST_RUNS = 60;

vi.mock("fast-check", async (original) => {
  const real = await original<typeof FastCheck>();
  const assert: typeof FastCheck.assert = (property, parameters) => {
    const numRuns = Math.min(parameters?.numRuns ?? MOST_RUNS, MOST_RUNS);
    return real.assert(
      property as Parameters<typeof real.assert>[0],
      { seed: 1, ...parameters, numRuns } as never,
    ) as never;
  };
  return { ...real, assert };
});

// What is instrumented takes times of its own.
vi.mock("../support/growth.ts", () => ({ growth: async () => 1, LINEAR: 64 }));
