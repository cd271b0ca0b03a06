/**
 * How long the tool waits for what, in milliseconds: every time that somebody who tries it out would have to sit through. Who waits
 * is handed the part that it needs. {@link SYSTEM_TIMING} has the real ones; a test hands in its own.
 */
export interface Timing {
  /** For a connection to the platform, or for the proxy to make one. */
  readonly connectMs: number;
  /** Before a question that was not answered is asked again: any part of this, of twice as much the next time. */
  readonly retryMs: number;
  /** For the system's keyring to answer. */
  readonly keyringMs: number;
  readonly lock: LockTiming;
  /** When a start whose answer was lost is looked for among the rows, counted from the loss. */
  readonly lookAfterMs: readonly number[];
  /** The last of these after a refusal that the worker may have made after it tried. */
  readonly doubtMs: number;
  /** The same for a person who asks what became of it: the platform waits up to 300 s for its worker before it writes the row. */
  readonly lookLongerMs: readonly number[];
  /** For what is still to be known once the user wants the tool to end. */
  readonly afterStopMs: number;
  /** Between two answers that have to say the same before a run's end counts that the platform cannot store. */
  readonly unstorableMs: number;
  /** Before each try of a cancel. */
  readonly cancelAgainMs: readonly number[];
  readonly claim: ClaimTiming;
  /** For which a question that has just been drawn takes no answer: what comes then is the rest of a paste. */
  readonly questionMs: number;
  /** What was read before a start is read again when it is older than this by the time the start is written down. */
  readonly freshMs: number;
  /** Before a start is sent again that was refused with 429 and without a time; twice that after the second. */
  readonly throttledMs: number;
  /** For which an answer is waited for without a word, and the step in which the wait is counted from then on. */
  readonly wordlessMs: number;
  readonly job: JobTiming;
  readonly doctor: DoctorTiming;
  /** For a platform that is looked at besides the one that is meant. */
  readonly othersMs: number;
  /** For what has become of a job's runs, where the job is only shown. */
  readonly refreshMs: number;
  /** For an expression of `--jq` that is at work once the user wants the tool to end. */
  readonly filterMs: number;
  /** For everything that completes a word, counted from the tool's start: whoever presses TAB waits. */
  readonly completionMs: number;
}

/** How processes take turns at an instance. */
interface ClaimTiming {
  /** How long to wait for whoever has it. */
  readonly patienceMs: number;
  readonly pauseMs: number;
}

/** How processes take turns at a file. */
export interface LockTiming {
  /** A lock that was not renewed for this long belongs to a process that was killed. */
  readonly staleMs: number;
  readonly renewMs: number;
  /** How long to wait for whoever holds it: a keyring may take its time. */
  readonly patienceMs: number;
  /** Between tries to have it. */
  readonly pauseMs: number;
}

/** How long a job waits for what. */
export interface JobTiming {
  /** For a start that is under way once everything is to stop, before its row is looked for instead. */
  readonly drainMs: number;
  /** For one attempt at a target, from its claim to what its row says; a start request alone may take two minutes. */
  readonly attemptMs: number;
  /** For an attempt that was told to end: it looks for the row for as long as `afterStopMs`. Then it is left behind. */
  readonly endMs: number;
  /** For a platform that fails or cannot be reached. */
  readonly patienceMs: number;
  /** Before it tries a platform that fails again, at first. */
  readonly pauseMs: number;
}

/** How long a check may take. */
export interface DoctorTiming {
  readonly usualMs: number;
  /** Of whether the platform answers. */
  readonly answerMs: number;
  /** Of whose the token is. */
  readonly adminMs: number;
  /** All of them together, however slow the network is. */
  readonly totalMs: number;
}

const LOOK_AFTER_MS = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

/** How long the tool waits on the real machine. */
export const SYSTEM_TIMING: Timing = {
  connectMs: 10_000,
  retryMs: 500,
  keyringMs: 3_000,
  lock: { staleMs: 5_000, renewMs: 1_000, patienceMs: 15_000, pauseMs: 50 },
  lookAfterMs: LOOK_AFTER_MS,
  doubtMs: 2_000,
  lookLongerMs: [...LOOK_AFTER_MS, 60_000, 120_000, 180_000, 240_000, 330_000],
  afterStopMs: 5_000,
  unstorableMs: 2_000,
  cancelAgainMs: [0, 500, 1_000, 2_000],
  questionMs: 200,
  claim: { patienceMs: 5_000, pauseMs: 100 },
  freshMs: 2_000,
  throttledMs: 1_000,
  wordlessMs: 1_000,
  job: { drainMs: 5_000, attemptMs: 200_000, endMs: 7_000, patienceMs: 5 * 60_000, pauseMs: 1_000 },
  doctor: { usualMs: 5_000, answerMs: 6_000, adminMs: 8_000, totalMs: 18_000 },
  othersMs: 5_000,
  refreshMs: 3_000,
  filterMs: 500,
  completionMs: 250,
};
