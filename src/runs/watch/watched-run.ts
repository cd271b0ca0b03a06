import { ApiError } from "../../api/api-error.ts";
import { backoff } from "../../api/retry.ts";
import type { CliError } from "../../errors.ts";
import { tailOf } from "../output/tail.ts";
import type { Run } from "../run.ts";
import type { Polled } from "../settle/settle.ts";
import { CADENCE } from "./cadence.ts";
import type { Pace } from "./pace.ts";
import type { Lane, Turn } from "./schedule.ts";
import type { Watched, WatchedEvent } from "./watched.ts";

/** So many refused requests in a row, and a run no longer shares one: it may be what breaks it. */
const SUSPICIOUS_FAILURES = 3;
/** An output that nobody has seen may be as long as any. */
const MAX_OUTPUT_LENGTH = 2 ** 20;

/** One of many runs under watch: what an answer, or none, means for it. Of its output only the length and the end are kept. */
export class WatchedRun implements Turn {
  watched: Watched;
  /** Whether its machine is known to run: asking about a run whose machine is down would mark it failed. */
  machineUp = false;
  lane: Lane = "shared";
  dueAt: number;
  pauseMs = 0;
  readonly #tell: (event: WatchedEvent) => void;
  readonly #pace: Pace;
  #lastGrowth: number;
  #lastAnswer: number;
  #failures = 0;
  #notUnderstood = 0;
  #size: number | undefined;
  #tail = "";

  constructor(run: Run, now: number, pace: Pace, tell: (event: WatchedEvent) => void) {
    this.#pace = pace;
    this.#tell = tell;
    this.dueAt = now;
    this.#lastGrowth = now;
    this.#lastAnswer = now;
    const state = run.status === "running" ? "running" : "ended";
    this.watched = { run, state, lastLine: null, problem: null, unstorable: false };
    tell({ type: "run", watched: this.watched });
    // How a run ended that has no exit code is told by its output; asking about an ended run changes nothing.
    if (run.status === "failed" && run.exitCode === null) {
      this.watched = { ...this.watched, state: "running" };
      this.machineUp = true;
    } else if (state === "ended") tell({ type: "end", watched: this.watched });
  }

  /** There is something to ask about it. */
  get going(): boolean {
    return this.watched.state === "running";
  }

  /** Characters of output in its last answer. */
  get outputLength(): number {
    return this.#size ?? 0;
  }

  get size(): number {
    return this.#size ?? MAX_OUTPUT_LENGTH;
  }

  /** The platform has said how it stands. */
  answered({ run, status, unstorable }: Polled, tookMs: number, now: number): void {
    const output = status.output ?? "";
    const { tail, lastLine } = tailOf(output);
    if (output.length !== this.outputLength || tail !== this.#tail) this.#lastGrowth = now;
    this.#size = output.length;
    this.#tail = tail;
    this.#lastAnswer = now;
    this.#failures = 0;
    this.#notUnderstood = 0;
    this.#pace.recover();
    const before = this.watched;
    this.#change({ run, problem: null, unstorable });
    // What the platform writes in place of a lost output is not the run's.
    if (!run.outcomeUnknown && lastLine !== null && lastLine !== before.lastLine) {
      this.#tell({ type: "output-line", watched: this.#change({ lastLine }) });
    }
    if (run.status !== "running") return this.finish({ state: "ended" });
    if (before.problem !== null) this.#tell({ type: "run", watched: this.watched });
    this.#pause(this.#pace.pauseMs({ silentMs: now - this.#lastGrowth, tookMs, size: output.length }), now);
  }

  /**
   * There was no answer, for a reason that may pass or not.
   *
   * @returns how long the platform asked to be left alone, in milliseconds.
   */
  failed(error: CliError, now: number): number {
    this.#notUnderstood = error.kind === "incompatible" ? this.#notUnderstood + 1 : 0;
    const transient = error instanceof ApiError && error.transient && this.#notUnderstood < CADENCE.maxNotUnderstood;
    if (!transient || now - this.#lastAnswer > CADENCE.patienceMs) {
      this.finish({ state: "given-up", problem: error.message });
      return 0;
    }
    this.#failures += 1;
    // It may be down by now.
    this.machineUp = this.watched.run.status !== "running";
    if (this.#failures >= SUSPICIOUS_FAILURES && this.lane === "shared") this.lane = "suspect";
    const asked = Math.min(
      error.retryAfterMs ?? (error.httpStatus === 429 ? CADENCE.firstBackoffMs : 0),
      CADENCE.longestRetryAfterMs,
    );
    const wait = Math.max(
      CADENCE.shortestBackoffMs,
      backoff(this.#failures, CADENCE.firstBackoffMs, CADENCE.longestBackoffMs),
    );
    this.#pause(asked || wait, now);
    const known = this.watched.problem !== null;
    this.#change({ problem: error.message });
    if (!known) this.#tell({ type: "trouble", watched: this.watched });
    return asked;
  }

  /** It was started just now: its machine runs, and it has hardly begun. */
  wait(now: number): void {
    this.machineUp = true;
    this.#pause(this.#pace.pauseMs({ silentMs: 0, tookMs: 0, size: 0 }), now);
  }

  /** Its time has come. */
  hurry(now: number): void {
    this.dueAt = Math.min(this.dueAt, now);
  }

  /** It is asked about by itself, as soon as there is room. */
  suspect(now: number): void {
    this.lane = "suspect";
    this.hurry(now);
  }

  /** Nothing more will come of it. */
  finish(changes: Partial<Watched>): void {
    this.#tail = "";
    this.#tell({ type: "end", watched: this.#change(changes) });
  }

  #pause(ms: number, now: number): void {
    this.pauseMs = ms;
    this.dueAt = now + ms;
  }

  #change(changes: Partial<Watched>): Watched {
    this.watched = { ...this.watched, ...changes };
    return this.watched;
  }
}
