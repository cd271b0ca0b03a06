/** The one table of how runs are watched, one or many: how often, and what a question without an answer costs. Times in milliseconds. */
export const CADENCE = {
  /** Between questions about a run that writes. */
  quickPollMs: 2_000,
  /** And about one that is silent for long. */
  slowPollMs: 10_000,
  /** A question that was not answered is asked again after up to so long, by chance, twice as long each time, */
  firstBackoffMs: 1_000,
  /** but never longer than this. */
  longestBackoffMs: 20_000,
  /** Nor sooner than this, where it is one of many. */
  shortestBackoffMs: 500,
  /** As long as the platform may ask to be left alone. */
  longestRetryAfterMs: 60_000,
  /** Without an answer for longer than this, nobody waits for one any more. */
  patienceMs: 5 * 60_000,
  /** So many answers in a row that this version does not understand, and it is not going to. */
  maxNotUnderstood: 3,
  /** Between looks for runs to watch as well. */
  discoveryMs: 10_000,
  /** The least, where the user's own time between polls is shorter. */
  quickestDiscoveryMs: 1_000,
} as const;

/** Milliseconds until a run is asked about again that was answered just now: the user's own time, or as its silence has it. */
export function wishedMs(silentMs: number, intervalMs: number | undefined): number {
  return intervalMs ?? Math.min(CADENCE.slowPollMs, Math.max(CADENCE.quickPollMs, silentMs / 3));
}

/** Milliseconds until the next look for runs to watch as well: as often as a run may be asked about. */
export function discoveryPauseMs(intervalMs: number | undefined): number {
  const { quickestDiscoveryMs, discoveryMs } = CADENCE;
  return Math.max(quickestDiscoveryMs, Math.min(discoveryMs, intervalMs ?? discoveryMs));
}

/** Characters of output a second that all watched runs together may cost; each answer brings the whole of a run's output. */
export const OUTPUT_BUDGET = 4 * 2 ** 20;
/** Polls of one run are this much apart from each other by chance, so that many tools do not ask in step. */
const JITTER = 0.1;
/** A platform that takes its time gets at least so many times that time to rest. */
const REST = 2;
const MIN_HURRY_MS = 2_000;
const MAX_HURRY_MS = 20_000;
const HURRY_FACTOR = 4;

export interface Circumstances {
  /** How long the run has written nothing. */
  readonly silentMs: number;
  /** The user's own time between polls. */
  readonly intervalMs: number | undefined;
  /** How long the last answer took. */
  readonly tookMs: number;
  /** 1, or more after the platform asked for less. */
  readonly slowdown: number;
  /** Characters in the last answer. */
  readonly size: number;
  /** Characters a second that this run may cost, see {@link fairShare}. */
  readonly share: number;
  /** A number from 0 to 1, by chance. */
  readonly chance: number;
}

/** Milliseconds until one of many runs is asked about again: as long as for one alone, but longer for what costs much. */
export function pauseMs({ silentMs, intervalMs, tookMs, slowdown, size, share, chance }: Circumstances): number {
  const wished = wishedMs(silentMs, intervalMs);
  const affordable = share > 0 ? (size / share) * 1_000 : 0;
  return Math.max(wished * slowdown, tookMs * REST, affordable) * (1 - JITTER + 2 * JITTER * chance);
}

/**
 * The most that each may take so that all together stay within the budget: those who want less keep what they want, and the
 * others get the same (max-min fairness). Infinite where there is enough for all.
 */
export function fairShare(demands: readonly number[], budget: number): number {
  const sorted = demands.toSorted((a, b) => a - b);
  let left = budget;
  for (const [index, demand] of sorted.entries()) {
    const share = left / (sorted.length - index);
    if (demand > share) return share;
    left -= demand;
  }
  return Infinity;
}

/** How long a shared request may take, given how long the latest ones took, before its runs are asked about one by one. */
export function hurryMs(latest: readonly number[]): number {
  const median = latest.toSorted((a, b) => a - b)[Math.floor(latest.length / 2)] ?? 0;
  return Math.min(MAX_HURRY_MS, Math.max(MIN_HURRY_MS, HURRY_FACTOR * median));
}
