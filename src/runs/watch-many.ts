import { setTimeout as sleep } from "node:timers/promises";
import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { backoff } from "../api/retry.ts";
import { suspendSignal } from "../api/suspend.ts";
import { admin } from "../contract/procedures.ts";
import { CliError } from "../errors.ts";
import { fairShare, hurryMs, OUTPUT_BUDGET, pauseMs, QUICK_POLL_MS } from "./cadence.ts";
import { tailOf } from "./output-tail.ts";
import type { Run } from "./run.ts";
import { machineState, pollRun } from "./settle.ts";

/** A run that is watched, as far as it is known. */
export interface Watched {
  readonly run: Run;
  /**
   * `machine-down`: never asked, because that would mark the run failed. `given-up`: no answer for five minutes, or an answer
   * that leaves nothing to wait for; the run may go on.
   */
  readonly state: "running" | "ended" | "machine-down" | "given-up";
  /** The last line of its output that says something, as it came: not safe for a terminal. */
  readonly lastLine: string | null;
  /** Why the last question was not answered; `null` when it was. */
  readonly problem: string | null;
}

export interface Totals {
  readonly running: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly unknown: number;
  readonly machineDown: number;
  readonly givenUp: number;
}

export type ManyEvent =
  /** A run is watched from now on, or something in its record changed. */
  | { readonly type: "run"; readonly watched: Watched }
  /** It wrote something, and its last line is another. */
  | { readonly type: "output-line"; readonly watched: Watched }
  /** It gives no answer; it is not affected. Once, until there is an answer again. */
  | { readonly type: "trouble"; readonly watched: Watched }
  /** Nothing more will come of it: see its state. */
  | { readonly type: "end"; readonly watched: Watched }
  /** How many there are of each kind, whenever that changes. */
  | { readonly type: "totals"; readonly totals: Totals };

export interface WatchManyOptions {
  /** Aborted: stop watching. Never touches a run. */
  readonly stop: AbortSignal;
  readonly intervalMs?: number | undefined;
  /** Stop watching after so many milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Asked every ten seconds for runs to watch as well. */
  readonly discover?: ((signal: AbortSignal) => Promise<readonly Run[]>) | undefined;
}

const BATCH = 10;
/** Shared requests under way at a time. */
const MOST_SHARED = 6;
/** Requests under way for one run each that may turn out to be slow, and for those that have. */
const MOST_SUSPECT = 10;
const MOST_SLOW = 8;
/** A request takes along runs whose time comes within this part of their pause: many small requests become one. */
const EARLY = 0.2;
/** So many refused requests in a row, and a run no longer shares one: it may be what breaks it. */
const SUSPICIOUS_FAILURES = 3;
/** Queries of one moment share a request, so requests that must not leave one after the other. */
const APART_MS = 5;
const DISCOVERY_MS = 10_000;
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 20_000;
const LONGEST_RETRY_AFTER_MS = 60_000;
const PATIENCE_MS = 5 * 60_000;
const MOST_SLOWDOWN = 8;
const REMEMBERED_ANSWERS = 21;

interface Entry {
  watched: Watched;
  /** Whether its machine is known to run: asking about a run whose machine is down would mark it failed. */
  machineUp: boolean;
  /** Its next request is one of its own. */
  alone: boolean;
  /** Alone, it took longer than a shared request may. */
  slow: boolean;
  asking: boolean;
  dueAt: number;
  pauseMs: number;
  lastGrowth: number;
  lastAnswer: number;
  failures: number;
  size: number;
  tail: string;
}

/** Not the wall clock: nobody runs out of patience while the machine sleeps. */
function clock(): number {
  return performance.now();
}

/**
 * Watches many runs to their ends, with one scheduler for all. Every run has its own cadence; runs that are due share requests
 * of ten. The platform answers such a request when its slowest entry is done, so one machine that hangs would hold up nine
 * others for the 45 s that an answer may take. Therefore a shared request that takes much longer than they usually do is
 * dropped (asking twice about a status changes nothing) and each of its runs is asked about alone; a run that is slow even
 * then keeps having requests of its own, a few such runs at a time, until it answers quickly. Requests of one run each from
 * the start would be ten times as many; limits by time alone would give up on machines that are only slow.
 *
 * Of outputs only their length and their end are kept. Ends when every run has come to an end, or at the stop or the time
 * limit: the runs that go on have no `end` event then.
 *
 * @throws CliError `auth` when the token is refused.
 */
export async function* watchMany(
  api: Api,
  runs: readonly Run[],
  { stop, intervalMs, timeoutMs, discover }: WatchManyOptions,
): AsyncGenerator<ManyEvent> {
  const done = new AbortController();
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([stop, done.signal, ...(limit ? [limit] : [])]);
  const entries = new Map<string, Entry>();
  const events: ManyEvent[] = [];
  const answerTimes: number[] = [];
  const underWay = { shared: 0, suspect: 0, slow: 0 };
  let slowdown = 1;
  let quietUntil = 0;
  let share = Infinity;
  let refused: unknown;
  let totals = "";
  let wake: () => void = nobodyWaits;

  const add = (run: Run) => {
    if (entries.has(run.id)) return;
    const now = clock();
    const state = run.status === "running" ? "running" : "ended";
    const entry: Entry = {
      watched: { run, state, lastLine: null, problem: null },
      machineUp: false,
      alone: false,
      slow: false,
      asking: false,
      dueAt: now,
      pauseMs: 0,
      lastGrowth: now,
      lastAnswer: now,
      failures: 0,
      size: 0,
      tail: "",
    };
    entries.set(run.id, entry);
    events.push({ type: "run", watched: entry.watched });
    // How a run ended that has no exit code is told by its output; asking about an ended run changes nothing.
    if (run.status === "failed" && run.exitCode === null) {
      entry.watched = { ...entry.watched, state: "running" };
      entry.machineUp = true;
    } else if (state === "ended") events.push({ type: "end", watched: entry.watched });
  };

  const change = (entry: Entry, changes: Partial<Watched>) => (entry.watched = { ...entry.watched, ...changes });

  const finish = (entry: Entry, changes: Partial<Watched>) => {
    events.push({ type: "end", watched: change(entry, changes) });
    entry.tail = "";
  };

  const answered = (entry: Entry, run: Run, output: string, tookMs: number) => {
    const now = clock();
    const { tail, lastLine } = tailOf(output);
    const grew = output.length !== entry.size || tail !== entry.tail;
    entry.size = output.length;
    entry.tail = tail;
    entry.lastAnswer = now;
    entry.failures = 0;
    if (grew) entry.lastGrowth = now;
    slowdown = Math.max(1, slowdown * 0.95);
    const before = entry.watched;
    change(entry, { run, problem: null });
    // What the platform writes in place of a lost output is not the run's.
    if (!run.outcomeUnknown && lastLine !== null && lastLine !== before.lastLine) {
      events.push({ type: "output-line", watched: change(entry, { lastLine }) });
    }
    if (run.status !== "running") return finish(entry, { state: "ended" });
    if (before.problem !== null) events.push({ type: "run", watched: entry.watched });
    const silentMs = now - entry.lastGrowth;
    const { size } = entry;
    entry.pauseMs = pauseMs({ silentMs, intervalMs, tookMs, slowdown, size, share, chance: Math.random() });
    entry.dueAt = now + entry.pauseMs;
  };

  const failed = (entry: Entry, error: unknown) => {
    if (!(error instanceof CliError) || error.kind === "auth") {
      refused ??= error;
      return;
    }
    const now = clock();
    const transient = error instanceof ApiError && error.transient;
    if (!transient || now - entry.lastAnswer > PATIENCE_MS) {
      return finish(entry, { state: "given-up", problem: error.message });
    }
    entry.failures += 1;
    // It may be down by now.
    entry.machineUp = entry.watched.run.status !== "running";
    // An error of its own, not of the whole request: the others must not wait for it.
    entry.alone = error.trpcCode !== undefined || entry.failures >= SUSPICIOUS_FAILURES;
    if (error.httpStatus === 429 && now >= quietUntil) slowdown = Math.min(MOST_SLOWDOWN, slowdown * 2);
    const asked = Math.min(
      error.retryAfterMs ?? (error.httpStatus === 429 ? FIRST_BACKOFF_MS : 0),
      LONGEST_RETRY_AFTER_MS,
    );
    quietUntil = Math.max(quietUntil, now + asked);
    entry.pauseMs = asked || Math.max(QUICK_POLL_MS / 4, backoff(entry.failures, FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS));
    entry.dueAt = now + entry.pauseMs;
    const known = entry.watched.problem !== null;
    change(entry, { problem: error.message });
    if (!known) events.push({ type: "trouble", watched: entry.watched });
  };

  /** One request, or two in a row where the machines are looked at first. */
  const ask = async (group: readonly Entry[], lane: keyof typeof underWay) => {
    const began = clock();
    const hurry = new AbortController();
    const patience = hurryMs(answerTimes);
    const shared = group.length > 1;
    const asking = AbortSignal.any([signal, hurry.signal]);
    let running = lane;
    underWay[running] += 1;
    const hurrying = setTimeout(() => {
      if (shared) return hurry.abort();
      for (const entry of group) entry.slow = true;
      underWay[running] -= 1;
      running = "slow";
      underWay[running] += 1;
      wake();
    }, patience);
    const askOne = async (entry: Entry) => {
      try {
        const { run } = entry.watched;
        if (!entry.machineUp) {
          const machine = await machineNow(api, run, asking);
          if (machine === "down")
            return finish(entry, { state: "machine-down", problem: "its machine is not running" });
          if (machine === "unknown") throw unknownMachine(run);
          entry.machineUp = true;
        }
        const { run: polled, status } = await pollRun(api, run, { signal: asking, retry: false });
        if (!status.hasRun) {
          return finish(entry, { state: "given-up", problem: "the platform does not know this run any more" });
        }
        const tookMs = clock() - began;
        entry.alone = false;
        entry.slow = !shared && tookMs > patience;
        if (entry.slow) entry.alone = true;
        answered(entry, polled, status.output ?? "", tookMs);
      } catch (error) {
        if (signal.aborted) return;
        if (hurry.signal.aborted && shared) {
          entry.alone = true;
          entry.dueAt = clock();
        } else failed(entry, error);
      } finally {
        entry.asking = false;
      }
    };
    await Promise.all(group.map(askOne));
    clearTimeout(hurrying);
    underWay[running] -= 1;
    answerTimes.push(clock() - began);
    if (answerTimes.length > REMEMBERED_ANSWERS) answerTimes.shift();
    wake();
  };

  /** Sends off one request if one is due. @returns milliseconds until there may be another. */
  const schedule = (): number => {
    const now = clock();
    if (now < quietUntil) return quietUntil - now;
    const waiting = [...entries.values()].filter(({ asking, watched }) => !asking && watched.state === "running");
    waiting.sort((a, b) => a.dueAt - b.dueAt);
    const isDue = ({ dueAt }: Entry) => dueAt <= now;
    const start = (group: readonly Entry[], lane: keyof typeof underWay) => {
      for (const entry of group) entry.asking = true;
      void ask(group, lane);
      return APART_MS;
    };
    const together = waiting.filter(({ alone }) => !alone);
    if (together.some(isDue) && underWay.shared < MOST_SHARED) {
      const early = together.filter((entry) => entry.dueAt - now <= EARLY * entry.pauseMs);
      return start(early.slice(0, BATCH), "shared");
    }
    const suspect = waiting.find((entry) => entry.alone && !entry.slow && isDue(entry));
    if (suspect && underWay.suspect < MOST_SUSPECT) return start([suspect], "suspect");
    const slow = waiting.find((entry) => entry.slow && isDue(entry));
    if (slow && underWay.slow < MOST_SLOW) return start([slow], "slow");
    // What is due and has no room waits for an answer.
    return Math.min(1_000, ...waiting.map(({ dueAt }) => dueAt - now).filter((ms) => ms > 0));
  };

  const count = () => {
    const now = totalsOf([...entries.values()].map(({ watched }) => watched));
    const key = JSON.stringify(now);
    if (key === totals) return;
    totals = key;
    events.push({ type: "totals", totals: now });
  };

  const shareOut = () => {
    const going = [...entries.values()].filter(({ watched, size }) => watched.state === "running" && size > 0);
    // As if each were asked as often as it may be: what it costs now depends on its share.
    const demands = going.map(({ size }) => (size / (intervalMs ?? QUICK_POLL_MS)) * 1_000);
    share = fairShare(demands, OUTPUT_BUDGET);
  };

  let suspended = suspendSignal();
  const ticking = setInterval(() => {
    shareOut();
    if (!suspended.signal.aborted) return;
    suspended.release();
    suspended = suspendSignal();
    for (const entry of entries.values()) entry.dueAt = Math.min(entry.dueAt, clock());
    wake();
  }, 1_000);

  const lookForMore = async (find: NonNullable<WatchManyOptions["discover"]>) => {
    while (!signal.aborted) {
      await sleep(DISCOVERY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        for (const run of await find(signal)) add(run);
      } catch (error) {
        // The runs themselves tell what is wrong; the next look may find what this one did not.
        if (!(error instanceof ApiError)) refused ??= error;
      }
      wake();
    }
  };

  for (const run of runs) add(run);
  if (discover) void lookForMore(discover);
  try {
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const going = [...entries.values()].some(({ watched }) => watched.state === "running");
      const pause = going ? schedule() : 0;
      count();
      for (let event = events.shift(); event; event = events.shift()) yield event;
      if (refused !== undefined) throw refusedBy(refused);
      if (!going) return;
      const waiting = new AbortController();
      await Promise.race([woken, sleep(pause, undefined, { signal: AbortSignal.any([signal, waiting.signal]) })]).catch(
        () => undefined,
      );
      waiting.abort();
    }
  } finally {
    clearInterval(ticking);
    suspended.release();
    done.abort();
  }
}

function nobodyWaits(): void {}

/** How many of the runs there are of each kind. */
export function totalsOf(all: readonly Watched[]): Totals {
  const many = (is: (watched: Watched) => boolean) => all.filter(is).length;
  const ended = (status: Run["status"]) =>
    many(({ state, run }) => state === "ended" && !run.outcomeUnknown && run.status === status);
  return {
    running: many(({ state }) => state === "running"),
    completed: ended("completed"),
    failed: ended("failed"),
    cancelled: ended("cancelled"),
    unknown: many(({ state, run }) => state === "ended" && run.outcomeUnknown),
    machineDown: many(({ state }) => state === "machine-down"),
    givenUp: many(({ state }) => state === "given-up"),
  };
}

/** Like `machineOf`, but one question: the scheduler decides when to ask again, and has to know of a `Retry-After`. */
async function machineNow(api: Api, { instanceId: id }: Run, signal: AbortSignal) {
  if (id === null) return "down";
  const { workerStatus, workerStatusError } = await api.query(admin.get, { id }, { signal, retry: false });
  return machineState({ machineStatus: workerStatus?.status ?? null, machineStatusError: workerStatusError });
}

/** Asking about a run of a machine of which nothing is known may mark it failed. */
function unknownMachine(run: Run): ApiError {
  return new ApiError("unreachable", `nobody can tell whether the machine of run ${run.id} runs`, {
    procedure: "get",
    sent: true,
    transient: true,
    trpcCode: "UNKNOWN_MACHINE",
  });
}

function refusedBy(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  return new CliError("auth", `stopped watching: ${error.message}; the runs go on`, {
    hint: [...error.hints, "then take it up again with the same command"],
    cause: error,
  });
}
