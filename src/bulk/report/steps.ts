const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Lengths of time that people count in, in milliseconds. */
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat(
  [1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  [1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  [1, 2, 3, 6, 12].map((n) => n * HOUR),
);

/** The shortest length of time people count in of which `most` cover `ms`; whole days, where that is more than a day. */
export function stepFor(ms: number, most: number): number {
  return STEPS.find((step) => step * most >= ms) ?? Math.ceil(ms / most / DAY) * DAY;
}
