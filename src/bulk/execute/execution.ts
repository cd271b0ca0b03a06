import type { ApiError } from "../../api/api-error.ts";
import type { Api } from "../../api/api.ts";
import { Bell } from "../../async/bell.ts";
import { graceAfter } from "../../async/grace.ts";
import { unlessAborted } from "../../async/on-abort.ts";
import { ownSignal } from "../../async/own-signal.ts";
import { Queue } from "../../async/queue.ts";
import { callAfter } from "../../async/wait.ts";
import { messageOf } from "../../errors.ts";
import type { Ledger } from "../../journal/ledger.ts";
import type { Run } from "../../runs/run.ts";
import type { Watched } from "../../runs/watch/watched.ts";
import type { JobTiming } from "../../timing.ts";
import { afterRun, runOf } from "../item-run.ts";
import { isSendable, type Item } from "../item.ts";
import { CALLED_OFF } from "../job/called-off.ts";
import type { JobSettings } from "../job/settings.ts";
import { Attempts, type AttemptOptions } from "./attempt.ts";
import { Backlog } from "./backlog.ts";
import { Following } from "./following.ts";
import { Gate } from "./gate.ts";
import type { JobEvent } from "./job-event.ts";
import { Throttle } from "./throttle.ts";
import type { Judged, Verdict } from "./verdict.ts";

export interface ExecuteOptions extends AttemptOptions {
  readonly settings: JobSettings;
  /** End as at the stop after so many milliseconds. */
  readonly timeoutMs: number | null;
  /** Asked once the canary's runs have completed: whether the rest is to follow. */
  readonly letFollow?: (() => Promise<boolean>) | undefined;
}

const TICK_MS = 1_000;

/**
 * Does a job: starts runs on targets that wait, each at most once and on record, at a pace the platform can take, and follows
 * the runs to their ends if that was asked for. `items` is kept up to date; each change is an event too.
 *
 * @param items one for each target, in the order of the plan: what is `waiting` is started, what is `running` is followed.
 * @throws when everything that was under way has come to its end: ApiError `auth` when the token is refused, or of a platform
 *   that failed or could not be reached for five minutes; CliError `local-state` when the journal cannot be written.
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
    execution.close("no longer watched");
    await working;
  }
}

class Execution {
  readonly events = new Queue<JobEvent>();
  readonly #api: Api;
  readonly #items: Item[];
  readonly #options: ExecuteOptions;
  readonly #backlog: Backlog;
  readonly #gate: Gate;
  readonly #throttle: Throttle;
  readonly #bell: Bell;
  readonly #attempts: Attempts;
  readonly #timing: JobTiming;
  readonly #following = new Following({
    wrote: (slot, line) => this.events.push({ type: "output-line", item: this.#item(slot), line }),
    ended: (slot, watched) => this.#ended(slot, watched),
    late: (slot) => this.#leave(slot, "still running at the timeout"),
    freed: (slot, watched) => this.#freed(slot, watched),
  });
  #starting = 0;
  #closing = false;
  #timeIsUp = false;
  #asking = false;
  #sent = false;
  #failure: unknown;
  /** What it waits for no longer; what it follows goes on. */
  #trouble: ApiError | undefined;
  #pace = "";

  constructor(api: Api, ledger: Ledger, items: Item[], options: ExecuteOptions) {
    this.#api = api;
    this.#items = items;
    this.#options = options;
    this.#backlog = new Backlog(items.length, (slot) => {
      const item = items[slot];
      return item !== undefined && item.state === "waiting" && isSendable(item.target);
    });
    this.#gate = new Gate(options.settings, items.filter(({ target }) => isSendable(target)).length);
    this.#bell = new Bell(options.stop);
    this.#timing = api.timing.job;
    this.#attempts = new Attempts(api, ledger, options, {
      timing: this.#timing,
      onUnrecorded: (why) => this.events.push({ type: "unrecorded", why }),
    });
    this.#throttle = new Throttle({ ...options.settings, pauseMs: this.#timing.pauseMs });
  }

  /** Works until nothing is left to do; then the events end. Never throws. */
  async work(): Promise<void> {
    const { stop, timeoutMs } = this.#options;
    const over = ownSignal(stop);
    const { drainMs, endMs } = this.#timing;
    const drain = graceAfter(stop, drainMs);
    const onStop = () => this.close("interrupted");
    const timeLimit = timeoutMs === null ? undefined : callAfter(timeoutMs, () => this.#callTime());
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    if (stop.aborted) onStop();
    else stop.addEventListener("abort", onStop, { once: true });
    try {
      const following = this.#follow(over.signal);
      await this.#dispatch(drain.signal);
      this.#following.end();
      over.abort();
      // What a poll that never settles holds up is only that it is known to have ended.
      const grace = graceAfter(over.signal, endMs);
      await unlessAborted(grace.signal, following)
        .catch(() => undefined)
        .finally(() => grace.release());
    } catch (error) {
      this.#fail(error);
    } finally {
      stop.removeEventListener("abort", onStop);
      timeLimit?.cancel();
      clearInterval(ticking);
      drain.release();
      over.release();
    }
    const failure = this.#failure ?? this.#trouble;
    if (failure === undefined) this.events.end();
    else this.events.fail(failure);
  }

  /** Starts nothing more. */
  close(why: string): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#backlog.hasMore) this.events.push({ type: "stopping", why });
    this.#bell.ring();
  }

  /** Begins starts, one after the other, until nothing is left to start, to wait for or to follow. */
  async #dispatch(drain: AbortSignal): Promise<void> {
    const { stop } = this.#options;
    for (;;) {
      this.#letCanaryPass();
      const wait = this.#mayStart() ? this.#throttle.untilNext() : Infinity;
      const slot = wait === 0 ? this.#backlog.take() : undefined;
      if (slot !== undefined) {
        void this.#attempt(slot, drain);
        continue;
      }
      const ended = stop.aborted || this.#timeIsUp || this.#failure !== undefined;
      const nothingToDo = this.#starting === 0 && !this.#asking && (this.#closing || !this.#backlog.hasMore);
      if (nothingToDo && (ended || this.#following.idle)) return;
      await this.#bell.wait(wait);
    }
  }

  #mayStart(): boolean {
    if (this.#closing || !this.#backlog.hasMore) return false;
    if (this.#gate.tripped !== undefined) {
      this.close(this.#gate.tripped);
      return false;
    }
    return this.#gate.mayStart(this.#starting);
  }

  #letCanaryPass(): void {
    // Where nothing more is started nobody is asked, nor again who could not be asked.
    if (this.#closing || !this.#gate.canaryIsDone || this.#asking) return;
    const { letFollow } = this.#options;
    this.#asking = true;
    const decide = async () => {
      if (letFollow && this.#backlog.hasMore && !(await letFollow()))
        this.#gate.trip("the canary completed, and the rest was declined");
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

  async #attempt(slot: number, drain: AbortSignal): Promise<void> {
    const { target } = this.#item(slot);
    if (!isSendable(target)) return;
    this.#starting += 1;
    this.#throttle.begin();
    this.#set(slot, { state: "starting", problem: null });
    const began = performance.now();
    const judged = await this.#attempts.try(target, drain);
    this.#starting -= 1;
    this.#apply(slot, judged, performance.now() - began);
    this.#throttle.end();
    this.#sayPace();
    this.#bell.ring();
  }

  #apply(slot: number, { verdict, pressure, sent, retryAfterMs }: Judged, tookMs: number): void {
    if (sent && !this.#sent) {
      this.#sent = true;
      this.events.push({ type: "sent" });
    }
    if (pressure === "answered") this.#throttle.answered(tookMs);
    else if (pressure === "pushed-back") this.#throttle.pushedBack(retryAfterMs);
    else if (pressure === "failed") this.#throttle.failed(retryAfterMs);
    else if (pressure === "unreached") this.#throttle.unreached();
    switch (verdict.is) {
      case "started":
        this.#started(slot, verdict.run, { ...verdict, follow: this.#options.settings.wait });
        if (verdict.adopted) this.events.push({ type: "adopted", item: this.#item(slot) });
        return;
      case "in-the-way":
        return this.#inTheWay(slot, verdict);
      case "decided":
        return this.#set(slot, { state: verdict.state, problem: verdict.problem });
      case "again":
        return this.#again(slot, verdict, { pressure, sent });
      case "held":
        return this.#held(slot, verdict.problem);
      case "over":
        // The target is as it was.
        this.#set(slot, { state: "waiting", problem: verdict.error === undefined ? null : messageOf(verdict.error) });
        if (verdict.error !== undefined) this.#fail(verdict.error);
        else if (!this.#options.stop.aborted) this.#callOff();
    }
  }

  #again(
    slot: number,
    { error, ours }: Extract<Verdict, { is: "again" }>,
    { pressure, sent }: Pick<Judged, "pressure" | "sent">,
  ): void {
    const isPutBack = this.#backlog.putBack(slot, { ours, sent, failed: pressure === "failed" });
    this.#set(slot, { state: isPutBack ? "waiting" : "refused", problem: error.message });
    if (!isPutBack) return;
    if (this.#throttle.troubledMs <= this.#timing.patienceMs) return;
    this.#trouble ??= error;
    this.close(messageOf(error));
  }

  /** Another command of this machine is at work there, and is so for minutes at most. */
  #held(slot: number, problem: string): void {
    const inVain = this.#options.settings.onConflict === "fail" ? "conflict" : "skipped";
    this.#set(slot, { state: this.#backlog.putBehind(slot) ? "waiting" : inVain, problem });
  }

  #inTheWay(slot: number, { run, sent, problem }: Extract<Verdict, { is: "in-the-way" }>): void {
    const { onConflict } = this.#options.settings;
    // Followed also where the job's own runs are only started: it was asked for.
    if (onConflict === "attach") return this.#started(slot, run, { attached: true, problem: null, follow: true });
    // Another request would need a person: the one that was sent may have started a run before this one.
    if (onConflict === "wait" && !sent) {
      this.#set(slot, { state: "waiting", problem: `waiting for it to end: ${problem}` });
      return this.#following.waitFor(slot, run);
    }
    this.#set(slot, { state: onConflict === "fail" ? "conflict" : "skipped", problem });
  }

  #started(
    slot: number,
    run: Run,
    { attached, problem, follow }: { attached: boolean; problem: string | null; follow: boolean },
  ): void {
    this.#set(slot, { state: "running", runId: run.id, attached, startedAt: run.startedAt, problem });
    if (follow || !this.#gate.passed) return this.#following.follow(slot, run);
    if (!attached || run.status === "running") return;
    // One that was taken for this start may have ended long ago.
    const end = afterRun(run, null);
    this.#set(slot, { ...end, problem: end.problem ?? problem });
  }

  async #follow(stop: AbortSignal): Promise<void> {
    // Those of a canary are waited for in any case.
    const follows = this.#options.settings.wait || !this.#gate.passed;
    const known = this.#items.flatMap((item, slot): (readonly [number, Run])[] => {
      const run = item.state === "running" && follows ? runOf(item) : undefined;
      if (run) this.#gate.note(item);
      return run ? [[slot, run]] : [];
    });
    await this.#following.watch(this.#api, known, stop).catch((error: unknown) => this.#fail(error));
  }

  #ended(slot: number, watched: Watched): void {
    const { run, state, lastLine, problem } = watched;
    if (state !== "ended") this.#leave(slot, `no longer followed: ${problem}`);
    else this.#set(slot, afterRun(run, lastLine));
    this.events.push({ type: "run-end", item: this.#item(slot), watched });
    this.#bell.ring();
  }

  #freed(slot: number, { run, state, problem }: Watched): void {
    if (state === "ended") this.#backlog.putFirst(slot);
    else this.#set(slot, { state: "skipped", problem: `the run in progress, ${run.id}, did not answer: ${problem}` });
    this.#bell.ring();
  }

  /** Its run goes on, and is not followed any more. */
  #leave(slot: number, why: string): void {
    this.#set(slot, { problem: why });
    this.#gate.leave(this.#item(slot));
  }

  #tick(): void {
    const { runTimeoutMs } = this.#options.settings;
    if (runTimeoutMs !== null) this.#following.leaveAfter(runTimeoutMs);
    void this.#lookIfCalledOff();
    this.#bell.ring();
  }

  #callTime(): void {
    this.#timeIsUp = true;
    this.close("the job's timeout was reached");
    this.#bell.ring();
  }

  /** Also where nothing is to be started any more, and runs are only followed. */
  async #lookIfCalledOff(): Promise<void> {
    try {
      if (await this.#options.isCalledOff?.()) this.#callOff();
    } catch (error) {
      this.#fail(error);
    }
  }

  #callOff(): void {
    this.#timeIsUp = true;
    this.close(CALLED_OFF);
    this.#bell.ring();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.close(messageOf(error));
  }

  #sayPace(): void {
    const { limit, pausedMs } = this.#throttle;
    const now = `${limit} ${pausedMs > 0}`;
    if (now === this.#pace || (this.#pace === "" && limit === this.#options.settings.concurrency && pausedMs === 0))
      return;
    this.#pace = now;
    this.events.push({ type: "pace", limit, pausedMs });
  }

  #item(slot: number): Item {
    const item = this.#items[slot];
    if (!item) throw new Error(`there is no item ${slot}`);
    return item;
  }

  #set(slot: number, changes: Partial<Item>): void {
    const item = { ...this.#item(slot), ...changes };
    this.#items[slot] = item;
    this.#gate.note(item);
    this.events.push({ type: "item", item });
  }
}
