/** How many runs went on over a job's time. */
import { stepFor } from "./steps.ts";

export interface TimelineBucket {
  readonly from: Date;
  /** What happens at exactly this moment is in the next bucket. */
  readonly to: Date;
  /** How many runs began, and how many ended. */
  readonly started: number;
  readonly ended: number;
  /** The most that went on at one time. */
  readonly running: number;
}

interface Span {
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  /** It was in progress before the job came to it. */
  readonly attached: boolean;
}

const MAX_BUCKETS = 60;

/**
 * The time from the job's first start to the last thing known of it, in equal parts that begin where people's clocks do (UTC).
 * A run without an end goes on to the job's. Runs that others had started before count as going on from the beginning.
 */
export function timelineOf(spans: readonly Span[], endedAt: Date | null): TimelineBucket[] {
  const begun = spans.filter((span) => span.startedAt !== null) as readonly (Span & { readonly startedAt: Date })[];
  if (begun.length === 0) return [];
  const own = begun.some(({ attached }) => !attached) ? begun.filter(({ attached }) => !attached) : begun;
  let first = Infinity;
  for (const { startedAt } of own) first = Math.min(first, startedAt.getTime());
  let last = endedAt?.getTime() ?? first;
  for (const { startedAt, completedAt } of begun) {
    last = Math.max(last, completedAt?.getTime() ?? startedAt.getTime());
  }
  const { from, step, count } = partsOf(first, last);
  const end = from + count * step;

  const starts = Float64Array.from(begun, ({ startedAt }) => Math.max(from - 1, startedAt.getTime())).toSorted();
  const ends = Float64Array.from(begun, ({ startedAt, completedAt }) => {
    // One that took no time went on all the same.
    return completedAt ? Math.max(startedAt.getTime() + 1, completedAt.getTime()) : end;
  }).toSorted();
  let [started, ended] = [0, 0];
  while (at(starts, started) < from) started += 1;
  while (at(ends, ended) < from) ended += 1;
  return Array.from({ length: count }, (_, index) => {
    const to = from + (index + 1) * step;
    const before = { started, ended };
    let running = started - ended;
    for (;;) {
      // Where one ends as another begins, there is one at a time.
      if (at(ends, ended) < to && at(ends, ended) <= at(starts, started)) ended += 1;
      else if (at(starts, started) < to) started += 1;
      else break;
      running = Math.max(running, started - ended);
    }
    return {
      from: new Date(to - step),
      to: new Date(to),
      started: started - before.started,
      ended: ended - before.ended,
      running,
    };
  });
}

/** The time at an index; after the last: never. */
function at(times: Float64Array, index: number): number {
  return times[index] ?? Infinity;
}

/** Parts of a length that people count in, that begin at a multiple of it. */
function partsOf(first: number, last: number): { from: number; step: number; count: number } {
  // Fewer than there may be: the first seldom begins with the first start, nor does the last end with the last end.
  const step = stepFor(Math.max(1_000, last - first), MAX_BUCKETS - 2);
  const from = Math.floor(first / step) * step;
  // A run of no time at the last moment ends one millisecond later.
  return { from, step, count: Math.floor((last + 1 - from) / step) + 1 };
}
