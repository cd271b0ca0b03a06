/** How long runs took. All lengths of time are milliseconds. */
import { stepFor } from "./steps.ts";

export interface Durations {
  /** How many runs have ended and say when they began. The rest is `null` where there are none. */
  readonly count: number;
  /** Half of them took so long at most. */
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly maxMs: number | null;
}

export interface HistogramBucket {
  readonly fromMs: number;
  /** Those of exactly this length are in the next bucket; `null`: all that took longer. */
  readonly toMs: number | null;
  readonly count: number;
}

/** Nine of ten runs fall into about so many buckets. */
const FINE = 10;
const MAX_BUCKETS = 16;

export function durationFigures(sorted: Float64Array): Durations {
  return {
    count: sorted.length,
    p50Ms: percentile(sorted, 0.5),
    p90Ms: percentile(sorted, 0.9),
    maxMs: sorted.at(-1) ?? null,
  };
}

/** The shortest length that so large a part of all does not exceed (nearest rank). */
function percentile(sorted: Float64Array, part: number): number | null {
  return sorted[Math.ceil(sorted.length * part) - 1] ?? null;
}

/**
 * Counts lengths of time in buckets of one width, which the bulk of them decides: a few that took very long must not press
 * all others into one bucket. What is beyond the last is in a bucket without an end.
 */
export function distribution(sorted: Float64Array): HistogramBucket[] {
  const shortest = sorted[0];
  const longest = sorted.at(-1);
  if (shortest === undefined || longest === undefined) return [];
  const bulk = percentile(sorted, 0.9) ?? longest;
  const step = stepFor(Math.max(1, bulk - shortest), FINE);
  const from = Math.floor(shortest / step) * step;
  const needed = (until: number) => Math.floor((until - from) / step) + 1;
  const all = needed(longest);
  const closed = all <= MAX_BUCKETS ? all : needed(bulk) + 1;
  const counts = Array.from({ length: closed + (closed < all ? 1 : 0) }, () => 0);
  for (const ms of sorted) {
    const index = Math.min(Math.floor((ms - from) / step), counts.length - 1);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((count, index) => ({
    fromMs: from + index * step,
    toMs: index < closed ? from + (index + 1) * step : null,
    count,
  }));
}
