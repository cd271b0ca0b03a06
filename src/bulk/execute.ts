import { ApiError } from "../api/api-error.ts";
import type { Api } from "../api/api.ts";
import { ownSignal } from "../api/own-signal.ts";
import { UPSTREAM_CODES } from "../contract/procedures.ts";
import { CliError } from "../errors.ts";
import { HeldError } from "../journal/claim.ts";
import type { Ledger } from "../journal/ledger.ts";
import { Bell } from "../runs/bell.ts";
import { graceAfter } from "../runs/grace.ts";
import { LOOK_AFTER_MS } from "../runs/reconcile.ts";
import { initiator, startedRun, type Run } from "../runs/run.ts";
import { startOnRecord, type RecordedOutcome } from "../runs/start-on-record.ts";
import { watchMany } from "../runs/watch-many.ts";
import type { ManyEvent, Watched } from "../runs/watched.ts";
import { Gate } from "./gate.ts";
import { isSendable, type Item, type Sendable } from "./item.ts";
import { Queue } from "./queue.ts";
import type { JobSettings } from "./settings.ts";
import { Throttle } from "./throttle.ts";

export type JobEvent =
  /** Something has become of a target. */
  | { readonly type: "item"; readonly item: Item }
  /** Its run wrote something; the last line that says something, as it came: not safe for a terminal. */
  | { readonly type: "output-line"; readonly item: Item; readonly line: string }
  /** Nothing more will come of a run that was followed: see its state. */
  | { readonly type: "run-end"; readonly item: Item; readonly watched: Watched }
  /** How many starts may be under way at a time has changed, or none may be begun for a while. */
  | { readonly type: "pace"; readonly limit: number; readonly pausedMs: number }
  /** The canary's runs have all completed; the rest follows. */
  | { readonly type: "canary-passed" }
  /** Nothing more is started. What is under way comes to its end. */
  | { readonly type: "stopping"; readonly why: string }
  /** What became of a start could not be written down; it is to be reconciled. */
  | { readonly type: "unrecorded"; readonly why: string };

export interface ExecuteOptions {
  readonly settings: JobSettings;
  /** Who asks: tells our rows from those of others. */
  readonly admin: { readonly userId: string | undefined; readonly email: string | null };
  /** The prompt of a target. */
  readonly prompt: (target: Sendable) => string;
  /** Aborted: nothing more is started; starts under way are brought to a known end, runs are left to themselves. */
  readonly stop: AbortSignal;
  /** End like that after so many milliseconds. */
  readonly timeoutMs: number | null;
  /** A person has decided to send starts where an earlier one may have happened. */
  readonly resendUnknown: boolean;
  /** When to look for the row of a start whose answer was lost, in milliseconds after that. */
  readonly lookAfterMs?: readonly number[] | undefined;
  /** Asked once the canary's runs have completed: whether the rest is to follow. */
  readonly letFollow?: (() => Promise<boolean>) | undefined;
}

/** How long a start that is under way is waited for once everything is to stop, before its row is looked for instead. */
const DRAIN_MS = 5_000;
const TICK_MS = 1_000;
/** So often a target is taken up again that the platform gave no usable answer about. */
const MOST_TRIES = 3;
/** For so long a platform that cannot be reached is waited for. */
const PATIENCE_MS = 5 * 60_000;

/**
 * Does a job: starts runs on targets that wait, each at most once and on record, at a pace the platform can take, and follows
 * the runs to their ends if that was asked for. `items` is kept up to date; each change is an event too.
 *
 * @param items one for each target, in the order of the plan: what is `waiting` is started, what is `running` is followed.
 * @throws when everything that was under way has come to its end: ApiError `auth` when the token is refused, or of a platform
 *   that could not be reached for five minutes; CliError `local-state` when the journal cannot be written.
 */
export async function* execute(
  api: Api,
  ledger: Ledger,
  items: Item[],
  options: ExecuteOptions,
): AsyncGenerator<JobEvent, void, undefined> {
  const execution = new Execution(api, ledger, items, options);
  const working = execution.work();
  try {
    yield* execution.events;
  } finally {
    execution.close("nobody looks any more");
    await working;
  }
}

class Execution {
  readonly events = new Queue<JobEvent>();
  readonly #api: Api;
  readonly #ledger: Ledger;
  readonly #items: Item[];
  readonly #options: ExecuteOptions;
  readonly #gate: Gate;
  readonly #throttle: Throttle;
  readonly #bell: Bell;
  /** Runs to be followed, as they come. */
  readonly #arrivals = new Queue<Run>();
  /** Which items a followed run is about. */
  readonly #followed = new Map<string, { readonly places: number[]; readonly since: number }>();
  /** Which items wait for the end of somebody else's run. */
  readonly #waitingFor = new Map<string, number[]>();
  /** Places of items to be taken up before the others, and after them. */
  readonly #again: number[] = [];
  readonly #later: number[] = [];
  readonly #tries = new Map<number, number>();
  #next = 0;
  #starting = 0;
  #closing = false;
  #timeIsUp = false;
  #asking = false;
  #failure: unknown;
  #pace = "";

  constructor(api: Api, ledger: Ledger, items: Item[], options: ExecuteOptions) {
    this.#api = api;
    this.#ledger = ledger;
    this.#items = items;
    this.#options = options;
    this.#gate = new Gate(options.settings, items.filter(({ target }) => isSendable(target)).length);
    this.#throttle = new Throttle(options.settings);
    this.#bell = new Bell(options.stop);
  }

  /** Works until nothing is left to do; then the events end. Never throws. */
  async work(): Promise<void> {
    const { stop, timeoutMs } = this.#options;
    const over = new AbortController();
    const drain = graceAfter(stop, DRAIN_MS);
    const onStop = () => this.close("interrupted");
    const limit = timeoutMs === null ? undefined : setTimeout(() => this.#callTime(), timeoutMs);
    const ticking = setInterval(() => this.#leaveLateRuns(), TICK_MS);
    if (stop.aborted) onStop();
    else stop.addEventListener("abort", onStop, { once: true });
    try {
      const following = this.#follow(AbortSignal.any([stop, over.signal]));
      await this.#dispatch(drain.signal);
      this.#arrivals.end();
      over.abort();
      await following;
    } catch (error) {
      this.#fail(error);
    } finally {
      stop.removeEventListener("abort", onStop);
      clearTimeout(limit);
      clearInterval(ticking);
      drain.release();
    }
    if (this.#failure === undefined) this.events.end();
    else this.events.fail(this.#failure);
  }

  /** Starts nothing more. */
  close(why: string): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#hasMore()) this.events.push({ type: "stopping", why });
    this.#bell.ring();
  }

  /** Begins starts, one after the other, until nothing is left to start, to wait for or to follow. */
  async #dispatch(drain: AbortSignal): Promise<void> {
    const { stop } = this.#options;
    for (;;) {
      this.#letCanaryPass();
      const wait = this.#mayStart() ? this.#throttle.untilNext() : Infinity;
      const place = wait === 0 ? this.#take() : undefined;
      if (place !== undefined) {
        void this.#attempt(place, drain);
        continue;
      }
      const ended = stop.aborted || this.#timeIsUp || this.#failure !== undefined;
      const nothingToDo = this.#starting === 0 && !this.#asking && (this.#closing || !this.#hasMore());
      if (nothingToDo && (ended || (this.#followed.size === 0 && this.#waitingFor.size === 0))) return;
      await this.#bell.wait(wait);
    }
  }

  #mayStart(): boolean {
    if (this.#closing || !this.#hasMore()) return false;
    if (this.#gate.tripped !== undefined) {
      this.close(this.#gate.tripped);
      return false;
    }
    return this.#gate.mayStart(this.#starting);
  }

  /** Whether there are targets to which nothing was sent, and which wait for nobody. */
  #hasMore(): boolean {
    while (this.#next < this.#items.length && !this.#isWaiting(this.#next)) this.#next += 1;
    return this.#again.length > 0 || this.#next < this.#items.length || this.#later.length > 0;
  }

  #isWaiting(place: number): boolean {
    const item = this.#items[place];
    return item !== undefined && item.state === "waiting" && isSendable(item.target);
  }

  #take(): number | undefined {
    const again = this.#again.shift();
    if (again !== undefined || !this.#hasMore()) return again;
    return this.#next < this.#items.length ? this.#next++ : this.#later.shift();
  }

  #letCanaryPass(): void {
    if (!this.#gate.canaryIsDone || this.#asking) return;
    const { letFollow } = this.#options;
    this.#asking = true;
    const decide = async () => {
      if (letFollow && this.#hasMore() && !(await letFollow()))
        this.#gate.trip("the canary completed, and no more was to follow");
      else this.events.push({ type: "canary-passed" });
      this.#gate.pass();
    };
    void decide()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#asking = false;
        this.#bell.ring();
      });
  }

  async #attempt(place: number, drain: AbortSignal): Promise<void> {
    const { target } = this.#item(place);
    if (!isSendable(target)) return;
    const { admin, prompt, resendUnknown, lookAfterMs = LOOK_AFTER_MS } = this.#options;
    this.#starting += 1;
    this.#throttle.begin();
    this.#set(place, { state: "starting", problem: null });
    const began = performance.now();
    // Its own for each start: however many there are, nothing piles up on the one that they share.
    const own = ownSignal(drain);
    try {
      const { userId, userEmail, instanceId } = target;
      const request = { userId, userEmail, instance: { id: instanceId }, prompt: prompt(target), admin };
      const outcome = await startOnRecord(this.#api, request, this.#ledger, {
        stop: own.signal,
        resendUnknown,
        lookAfterMs,
        insist: false,
        onUnrecorded: (why) => this.events.push({ type: "unrecorded", why }),
      });
      this.#starting -= 1;
      this.#settle(place, outcome, performance.now() - began);
    } catch (error) {
      this.#starting -= 1;
      this.#settleFailure(place, error);
    } finally {
      own.release();
      this.#throttle.end();
      this.#sayPace();
      this.#bell.ring();
    }
  }

  #settle(place: number, outcome: RecordedOutcome, tookMs: number): void {
    switch (outcome.state) {
      case "started":
      case "found":
      case "found-earlier":
        this.#throttle.answered(tookMs);
        return this.#started(place, outcome.run, false);
      case "refused":
        if (outcome.error.transient || !outcome.error.sent) return this.#tryAgain(place, outcome.error);
        if (outcome.error.kind === "auth") return this.#refused(place, outcome.error);
        this.#throttle.answered(tookMs);
        return this.#set(place, {
          state: "refused",
          problem:
            outcome.error.upstreamCode === UPSTREAM_CODES.routeUnavailable
              ? `the controller on its machine is too old: ${outcome.error.message}`
              : outcome.error.message,
        });
      case "machine-down":
        this.#throttle.answered(tookMs);
        return this.#set(place, {
          state: "machine-down",
          problem: outcome.sent ? "the platform says that it is not running" : (outcome.machineStatus ?? "no machine"),
        });
      case "conflict":
        this.#throttle.answered(tookMs);
        return this.#inTheWay(place, outcome.inTheWay, outcome.sent);
      case "possible-orphan":
        return this.#unknown(
          place,
          "its machine is busy with a run that no row records; it may be ours",
          outcome.error,
        );
      case "unknown":
        return this.#unknown(
          place,
          `no record of a run was found, which is no proof (${outcome.error.message})`,
          outcome.error,
        );
      case "alarm":
        return this.#unknown(place, `several runs match the one start: ${outcome.runs.map(({ id }) => id).join(", ")}`);
      case "unsettled":
        return this.#unknown(
          place,
          `an earlier start may have happened, nothing was sent now: operation ${outcome.intents.map(({ op }) => op).join(", ")}`,
        );
    }
  }

  /** What happened before anything was sent. */
  #settleFailure(place: number, error: unknown): void {
    if (error instanceof HeldError) return this.#held(place, error);
    if (this.#options.stop.aborted && (!(error instanceof CliError) || error.kind === "interrupted")) {
      return this.#set(place, { state: "waiting" });
    }
    if (error instanceof ApiError && error.kind === "auth") return this.#refused(place, error);
    if (error instanceof ApiError && error.transient) return this.#tryAgain(place, error);
    if (error instanceof ApiError) return this.#set(place, { state: "refused", problem: error.message });
    this.#set(place, { state: "waiting" });
    this.#fail(error);
  }

  /** Another command of this machine is at work there, and is so for minutes at most. */
  #held(place: number, { message: problem }: HeldError): void {
    const tries = (this.#tries.get(place) ?? 0) + 1;
    this.#tries.set(place, tries);
    if (tries >= MOST_TRIES) {
      return this.#set(place, {
        state: this.#options.settings.onConflict === "fail" ? "conflict" : "skipped",
        problem,
      });
    }
    this.#set(place, { state: "waiting", problem });
    // Behind those that nobody is at, so that there is something to say of its run by then.
    this.#later.push(place);
  }

  /** The platform takes nothing more from this user: the target is as it was. */
  #refused(place: number, error: ApiError): void {
    this.#set(place, { state: "waiting", problem: error.message });
    this.#fail(error);
  }

  #unknown(place: number, problem: string, error?: ApiError): void {
    if (error?.httpStatus === 503) this.#throttle.pushedBack(error.retryAfterMs);
    else if (error && error.httpStatus === undefined) this.#throttle.unreached();
    this.#set(place, { state: "unknown", problem });
  }

  /** Nothing has happened, for a reason that may pass. */
  #tryAgain(place: number, error: ApiError): void {
    const { httpStatus, retryAfterMs } = error;
    if (httpStatus === 429 || httpStatus === 503) this.#throttle.pushedBack(retryAfterMs);
    else if (httpStatus === undefined) this.#throttle.unreached();
    // It is the platform, not this target: no try counts then.
    const general = httpStatus === 429 || httpStatus === 503 || httpStatus === undefined;
    const tries = (this.#tries.get(place) ?? 0) + (general ? 0 : 1);
    if (tries >= MOST_TRIES) return this.#set(place, { state: "refused", problem: error.message });
    this.#tries.set(place, tries);
    this.#set(place, { state: "waiting", problem: error.message });
    if (this.#throttle.unreachableMs > PATIENCE_MS) return this.#fail(error);
    this.#again.push(place);
  }

  #inTheWay(place: number, run: Run, sent: boolean): void {
    const problem = `run ${run.id} of ${initiator(run)} is in progress since ${run.startedAt.toISOString()}`;
    switch (this.#options.settings.onConflict) {
      case "attach":
        return this.#started(place, run, true);
      case "wait":
        // Another request would need a person: the one that was sent may have started a run before this one.
        if (sent) break;
        this.#set(place, { state: "waiting", problem: `waits for its end: ${problem}` });
        this.#waitingFor.set(run.id, [...(this.#waitingFor.get(run.id) ?? []), place]);
        return this.#arrivals.push(run);
      case "fail":
        return this.#set(place, { state: "conflict", problem });
      case "skip":
    }
    this.#set(place, { state: "skipped", problem });
  }

  #started(place: number, run: Run, attached: boolean): void {
    this.#set(place, { state: "running", runId: run.id, attached, startedAt: run.startedAt });
    if (!this.#options.settings.wait && this.#gate.passed && !attached) return;
    this.#followRun(place, run);
  }

  #followRun(place: number, run: Run): void {
    const followed = this.#followed.get(run.id);
    if (followed) followed.places.push(place);
    else {
      this.#followed.set(run.id, { places: [place], since: performance.now() });
      // Nobody needs its prompt any more, and there are many.
      this.#arrivals.push({ ...run, prompt: "" });
    }
  }

  async #follow(stop: AbortSignal): Promise<void> {
    const known: Run[] = [];
    for (const [place, item] of this.#items.entries()) {
      const run = item.state === "running" && this.#options.settings.wait ? runOf(item) : undefined;
      if (!run) continue;
      this.#gate.note(item);
      this.#followed.set(run.id, { places: [place], since: performance.now() });
      known.push(run);
    }
    try {
      for await (const event of watchMany(this.#api, known, { stop, arrivals: this.#arrivals })) this.#seen(event);
    } catch (error) {
      this.#fail(error);
    }
  }

  #seen(event: ManyEvent): void {
    if (event.type === "totals") return;
    const { run, state, lastLine, problem } = event.watched;
    const followed = this.#followed.get(run.id);
    if (event.type === "output-line" && lastLine !== null) {
      for (const place of followed?.places ?? []) {
        this.events.push({ type: "output-line", item: this.#item(place), line: lastLine });
      }
    }
    if (event.type !== "end") return;
    this.#followed.delete(run.id);
    for (const place of followed?.places ?? []) {
      if (state === "ended") this.#ended(place, run, lastLine);
      else this.#leave(place, `not followed any more: ${problem}`);
      this.events.push({ type: "run-end", item: this.#item(place), watched: event.watched });
    }
    for (const place of this.#waitingFor.get(run.id) ?? []) {
      if (state === "ended") this.#again.push(place);
      else
        this.#set(place, { state: "skipped", problem: `the run in progress, ${run.id}, gives no answer: ${problem}` });
    }
    this.#waitingFor.delete(run.id);
    this.#bell.ring();
  }

  #ended(place: number, run: Run, lastLine: string | null): void {
    const state = run.outcomeUnknown ? "lost" : run.status;
    this.#set(place, {
      state,
      startedAt: run.startedAt,
      completedAt: run.completedAt,
      exitCode: run.exitCode,
      problem: state === "failed" ? lastLine : state === "lost" ? "nobody can tell any more how it ended" : null,
    });
  }

  /** Its run goes on, and is not followed any more. */
  #leave(place: number, why: string): void {
    this.#set(place, { problem: why });
    this.#gate.leave(this.#item(place));
  }

  #leaveLateRuns(): void {
    const { runTimeoutMs } = this.#options.settings;
    if (runTimeoutMs !== null) {
      for (const [id, { places, since }] of this.#followed) {
        if (performance.now() - since < runTimeoutMs) continue;
        this.#followed.delete(id);
        for (const place of places) this.#leave(place, "still running at the time limit");
      }
    }
    this.#bell.ring();
  }

  #callTime(): void {
    this.#timeIsUp = true;
    this.close("the job's time limit is reached");
    this.#bell.ring();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.close(error instanceof Error ? error.message : String(error));
  }

  #sayPace(): void {
    const { limit, pausedMs } = this.#throttle;
    const now = `${limit} ${pausedMs > 0}`;
    if (now === this.#pace || (this.#pace === "" && limit === this.#options.settings.concurrency && pausedMs === 0))
      return;
    this.#pace = now;
    this.events.push({ type: "pace", limit, pausedMs });
  }

  #item(place: number): Item {
    const item = this.#items[place];
    if (!item) throw new Error(`there is no item ${place}`);
    return item;
  }

  #set(place: number, changes: Partial<Item>): void {
    const item = { ...this.#item(place), ...changes };
    this.#items[place] = item;
    this.#gate.note(item);
    this.events.push({ type: "item", item });
  }
}

/** The run of an item that is known to have one. */
function runOf({ target, runId, startedAt }: Item): Run | undefined {
  if (runId === null || target.userId === null) return undefined;
  return startedRun({
    id: runId,
    userId: target.userId,
    userEmail: target.userEmail,
    instanceId: target.instanceId,
    initiatedBy: "admin",
    initiatedByAdminId: null,
    initiatedByAdminEmail: null,
    prompt: "",
    startedAt: startedAt ?? new Date(),
  });
}
